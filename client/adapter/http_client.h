#ifndef USERPROFILE_CLIENT_ADAPTER_HTTP_CLIENT_H_
#define USERPROFILE_CLIENT_ADAPTER_HTTP_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "client/adapter/stop_event.h"
#include "ops/http_server.h"

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

// A request and its answer, the bodies of which may pass in parts.
struct HttpCall {
  std::string method = "POST";
  std::string path;
  ops::HttpHeaders headers = {};  // none of the body's length

  // The body; or its begin, if there is `more`: gives the next part, and an
  // empty one at the end. Of that size as a whole, if that is known. What more
  // there is can't be sent twice, and so goes by a new connection.
  std::string body = {};
  std::function<absl::StatusOr<std::string>()> more = nullptr;
  absl::optional<std::int64_t> size = absl::nullopt;

  // Are given the answer, and say whether the rest is still wanted. All of them
  // may wait.
  std::function<bool(int status, ops::HttpHeaders headers)> begin = nullptr;
  std::function<bool(absl::string_view part)> write = nullptr;

  // For the whole; without one, it may last as long as it goes on, but after
  // ten minutes in which nothing comes or goes it is over, too.
  absl::Duration timeout = absl::InfiniteDuration();

  // How long it may go on once that is set.
  const StopEvent* stop = nullptr;
  absl::Duration grace = absl::ZeroDuration();

  // The socket of whom it is for, or -1: from the end of the body until the
  // answer begins, it ends if that is closed by its peer.
  int caller = -1;
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

  // Sends a request, and passes the answer on as it comes. Errors as Post()'s;
  // OUT_OF_RANGE also if `begin` or `write` want no more, CANCELLED if `more`
  // fails or the caller is gone. The answer may have begun before any of them.
  absl::Status Send(const HttpCall& call);

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
