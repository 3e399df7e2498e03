#ifndef USERPROFILE_OPS_HTTP_SERVER_H_
#define USERPROFILE_OPS_HTTP_SERVER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace userprofile::ops {

class HttpStream;

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // "GET" for HEAD, whose answer is sent without its body
  std::string path;    // decoded, without what follows a '?'
  std::string target;  // as it was sent: not decoded, with all that follows
  HttpHeaders headers;
  std::string body;

  // The first header of that name, in any case; empty if there is none.
  absl::string_view Header(absl::string_view name) const;
};

struct HttpResponse {
  int status = 200;  // 500 is sent for what is not between 200 and 599
  std::string body = {};
  std::string content_type = {};  // of the body
  HttpHeaders headers = {};
};

// The answer to a method that the path does not have; `allowed` are those that
// it has, as in "GET, HEAD".
HttpResponse MethodNotAllowed(absl::string_view allowed);

// What a server says. All of them may be called by several threads at once.
struct HttpHandler {
  // Says whether this is a request for `answer`, by its headers alone: before a
  // byte of its body is read. If not, what it returns is sent, and the
  // connection is closed. On the thread that serves all connections: must not
  // wait for anything.
  std::function<absl::optional<HttpResponse>(const HttpRequest&)> refuse;

  // Answers a request that came whole; may take its time.
  std::function<HttpResponse(const HttpRequest&)> answer;

  // Or, instead of `answer`: answers while the request still comes. Its body is
  // whatever it is, of any length and encoding.
  std::function<void(HttpStream&)> stream = nullptr;

  // If given, is told the status of every request that the server or `refuse`
  // has refused, just before it is sent. What is no HTTP is not counted.
  std::function<void(int status)> on_refused = nullptr;
};

// What an HTTP server withstands.
struct HttpServerOptions {
  // Requests that are answered at once; more wait for their turn. As many
  // threads are started as that takes.
  int threads = 4;

  // Connections, in all and from one address (0: as many as in all). Those over
  // the first wait, unaccepted, those over the second are closed. Each costs a
  // descriptor, 32 KiB at most, and its request's body.
  int max_connections = 256;
  int max_connections_per_address = 0;

  // Requests on one connection before it is closed.
  int requests_per_connection = 1;

  // How long a connection may say nothing, within a request or between two; at
  // least a second, in whole ones.
  absl::Duration silence = absl::Seconds(2);

  // How long a client may take for a request, from the connection's begin or
  // the last answer on, and then again for the answer. A stream may take as
  // long as it goes on.
  absl::Duration transfer = absl::Seconds(10);

  // After that, a connection gets no more answers than one.
  absl::Duration lifetime = absl::Minutes(10);

  // In bytes; a request with more, be it announced or in chunks, gets a 413.
  std::size_t max_body = 1024;
};

// An HTTP/1.1 server for strangers: libmicrohttpd on a port, with threads of
// its own. Plain HTTP; nothing is decompressed. Whatever a client does, it
// keeps no thread, and is gone after the limits above. A connection whose
// request was not read to its end is closed, so that nothing of it is taken for
// another request. Headers are limited to about 30 KiB (431, or 414 for the
// path).
class HttpServer {
 public:
  // Listens on "HOST:PORT" ("[::1]:9464" for IPv6); port 0 takes a free one.
  // INVALID_ARGUMENT for what is no such address, FAILED_PRECONDITION if it
  // can't be listened on.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      absl::string_view address, const HttpServerOptions& options,
      HttpHandler handler);

  // Accepts no more, and finishes what is being answered, for the sake of which
  // it waits for the handler, but for a client only a second, or five within a
  // stream.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The address that it listens on, as it was given but with the real port.
  const std::string& address() const { return address_; }

 private:
  class Daemon;
  HttpServer(std::string address, std::unique_ptr<Daemon> daemon);

  const std::string address_;
  const std::unique_ptr<Daemon> daemon_;
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_HTTP_SERVER_H_
