#ifndef USERPROFILE_CLIENT_ADAPTER_HTTP_CLIENT_H_
#define USERPROFILE_CLIENT_ADAPTER_HTTP_CLIENT_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "client/adapter/stop_event.h"

namespace userprofile::adapter {

// Where to send HTTP requests.
struct HttpUrl {
  std::string origin;  // "http://127.0.0.1:8080"
  std::string path;    // "/hook?x=1"; "/" if the URL names none
};

// Reads http://HOST[:PORT][/PATH] or the same with https. INVALID_ARGUMENT,
// without quoting it, for anything else, also for a URL with a user or a
// password in it.
absl::StatusOr<HttpUrl> ParseHttpUrl(const std::string& url);

struct HttpAnswer {
  int status = 0;
  std::string content_type;
  std::string body;
};

// The client of one HTTP server: libcurl. Over https the server's certificate
// is verified, with the system's roots or those that SSL_CERT_FILE or
// SSL_CERT_DIR name. Goes through the proxy that https_proxy, http_proxy or
// all_proxy name, but for hosts in no_proxy and for this machine. Follows no
// redirects, and decompresses nothing. Keeps its connections, one for each
// request that was ever under way at once. The process must ignore SIGPIPE.
// Thread-safe.
class HttpClient {
 public:
  // `server` is what errors call it, such as "the bot"; they never hold the
  // path. `max_answer` limits an answer's body, in bytes.
  HttpClient(std::string origin, std::string server, std::size_t max_answer,
             absl::Duration connect_timeout);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Posts JSON, and waits for the answer, of whatever status. UNAVAILABLE if
  // the server can't be reached, DEADLINE_EXCEEDED if the whole takes longer
  // than `timeout`, ABORTED if it breaks off, OUT_OF_RANGE if it answers too
  // much, CANCELLED as soon as `stop` is set; it may have done what it was
  // asked nevertheless. Once more, if a connection of earlier turns out to be
  // closed.
  absl::StatusOr<HttpAnswer> Post(
      const std::string& path, const std::string& json, absl::Duration timeout,
      const std::map<std::string, std::string>& headers = {},
      const StopEvent* stop = nullptr);

 private:
  class Connection;

  const std::string origin_;
  const std::string server_;
  const std::size_t max_answer_;
  const absl::Duration connect_timeout_;

  base::Mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_HTTP_CLIENT_H_
