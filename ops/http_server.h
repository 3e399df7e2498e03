#ifndef USERPROFILE_OPS_HTTP_SERVER_H_
#define USERPROFILE_OPS_HTTP_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace httplib {
class Server;
}

namespace userprofile::ops {

// What an HTTP server withstands.
struct HttpServerOptions {
  // Each connection keeps one while it is open; more connections wait. Those
  // that wait for work cost some 10 KiB each.
  int threads = 64;

  // Requests on one connection before it is closed; 1 closes it at once, so
  // that none keeps a thread.
  int requests_per_connection = 1;

  // How long a client may fall silent, in seconds.
  int read_timeout = 2;
  int write_timeout = 5;

  // In bytes; a request with more is answered with 413.
  std::size_t max_body = 1024;
};

// cpp-httplib's server on a port, with threads of its own. Plain HTTP.
// A client that sends its request byte by byte does keep its thread, and the
// library has no limit for that, so there are more threads than a few bad
// clients can keep. Against many of them the port has to be guarded.
class HttpServer {
 public:
  // Listens on "HOST:PORT" ("[::1]:9464" for IPv6); port 0 takes a free one.
  // `add_pages` says what there is. INVALID_ARGUMENT for what is no such
  // address, FAILED_PRECONDITION if it can't be listened on.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      absl::string_view address, const HttpServerOptions& options,
      const std::function<void(httplib::Server&)>& add_pages);

  // Accepts no more, and finishes what is being answered.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The address that it listens on, as it was given but with the real port.
  const std::string& address() const { return address_; }

 private:
  HttpServer();

  std::string address_;
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
};

// Whether only this machine can reach what listens at the address: "HOST:PORT"
// with a numeric loopback address (RFC 6890: 127.0.0.0/8, ::1) or "localhost",
// or "unix:PATH". False for every other name, whatever it resolves to.
bool IsLoopback(absl::string_view address);

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_HTTP_SERVER_H_
