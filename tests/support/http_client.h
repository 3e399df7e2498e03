#ifndef USERPROFILE_TESTS_SUPPORT_HTTP_CLIENT_H_
#define USERPROFILE_TESTS_SUPPORT_HTTP_CLIENT_H_

#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace userprofile::testing {

// A TCP connection to a server on this machine, to say anything at all on.
class Connection {
 public:
  // To "127.0.0.1:8080", or a URL that begins with it. Is over at once if
  // nobody listens there.
  explicit Connection(absl::string_view address);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Whether all of it was taken. Waits for that.
  bool Send(absl::string_view bytes);

  // What comes next, of any length; empty if nothing does before `patience` is
  // over or the server ends the connection.
  std::string Read(absl::Duration patience);

  // All that comes until the server ends the connection; what came till then,
  // if it has not after `patience`.
  std::string ReadAll(absl::Duration patience);

  // Whether the server has ended it, as Read and Send have seen.
  bool over() const { return over_; }

 private:
  int fd_;
  bool over_;
};

struct HttpAnswer {
  int status = 0;  // 0 if no whole answer came
  std::string body = {};
  std::map<std::string, std::string> headers = {};  // names in small letters

  explicit operator bool() const { return status != 0; }
  std::string Header(const std::string& name) const;
};

// A client of one HTTP server. Keeps its connection. Not thread-safe.
class HttpClient {
 public:
  using Headers = std::map<std::string, std::string>;

  // See Connection. `patience` is for an answer as a whole.
  explicit HttpClient(std::string address,
                      absl::Duration patience = absl::Seconds(10));

  HttpAnswer Get(const std::string& target);
  HttpAnswer Post(const std::string& target, const std::string& body,
                  Headers headers = {{"Content-Type", "application/json"}});
  HttpAnswer Send(const std::string& method, const std::string& target,
                  const Headers& headers = {}, const std::string& body = "");

 private:
  HttpAnswer Read(bool has_body);

  const std::string address_;
  const absl::Duration patience_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_HTTP_CLIENT_H_
