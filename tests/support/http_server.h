#ifndef USERPROFILE_TESTS_SUPPORT_HTTP_SERVER_H_
#define USERPROFILE_TESTS_SUPPORT_HTTP_SERVER_H_

#include <openssl/ssl.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "tests/support/certificate.h"

namespace userprofile::testing {

struct HttpRequest {
  std::string method;
  std::string path;                              // without what follows a '?'
  std::map<std::string, std::string> headers;    // names in small letters
  std::map<std::string, std::string> arguments;  // behind the '?', or of a form
  std::string body;

  std::string Header(const std::string& name) const;
};

struct HttpResponse {
  int status = 200;
  std::string body = {};
  std::string content_type = "text/plain";
  std::string more_headers = {};  // "Name: value\r\n"

  // Ends the connection after the first byte of the body.
  bool breaks_off = false;

  // How long it waits before each byte of the body.
  absl::Duration drip = absl::ZeroDuration();
};

// An HTTP server on 127.0.0.1, for peers that the test trusts, which may be any
// number at once.
class HttpServer {
 public:
  // Called by a thread for each connection.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // By TLS, if there is a certificate.
  explicit HttpServer(Handler handler,
                      const Certificate* certificate = nullptr);

  // Ends all connections, and waits for the handlers.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  std::string address() const;  // "127.0.0.1:8080"

  // That were made so far.
  int connections();

 private:
  class Stream;
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> tls_;
  int fd_;
  int port_;
  std::mutex mutex_;  // protects what follows
  bool stopping_ = false;
  std::set<int> open_;
  std::vector<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_HTTP_SERVER_H_
