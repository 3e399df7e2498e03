#include "ops/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "httplib.h"

namespace userprofile::ops {
namespace {

struct HostAndPort {
  std::string host;
  int port;
};

absl::StatusOr<HostAndPort> ParseAddress(absl::string_view address) {
  const auto colon = address.rfind(':');
  int port;
  if (colon != absl::string_view::npos && colon > 0 &&
      absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 0 &&
      port <= 65535) {
    absl::string_view host = address.substr(0, colon);
    const bool bracketed =
        absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
    if (bracketed || host.find(':') == absl::string_view::npos) {
      return HostAndPort{std::string(host), port};
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", address, "\" is no address to listen on: HOST:PORT is needed"));
}

// The library's own choice, SO_REUSEPORT, would let two processes share the
// port without a word.
void SetSocketOptions(int socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

void Configure(const HttpServerOptions& options, httplib::Server& server) {
  server.new_task_queue = [threads = options.threads] {
    return new httplib::ThreadPool(threads);
  };
  server.set_socket_options(SetSocketOptions);
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(options.requests_per_connection);
  server.set_keep_alive_timeout(options.read_timeout);
  server.set_read_timeout(options.read_timeout);
  server.set_write_timeout(options.write_timeout);
  server.set_payload_max_length(options.max_body);
}

}  // namespace

HttpServer::HttpServer() : server_(std::make_unique<httplib::Server>()) {}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    absl::string_view address, const HttpServerOptions& options,
    const std::function<void(httplib::Server&)>& add_pages) {
  absl::StatusOr<HostAndPort> parsed = ParseAddress(address);
  if (!parsed.ok()) return parsed.status();

  std::unique_ptr<HttpServer> result(new HttpServer);
  httplib::Server& server = *result->server_;
  Configure(options, server);
  add_pages(server);

  errno = 0;
  if (parsed->port == 0) {
    parsed->port = server.bind_to_any_port(parsed->host);
  } else if (!server.bind_to_port(parsed->host, parsed->port)) {
    parsed->port = -1;
  }
  if (parsed->port < 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "can't listen on ", address, ": ",
        errno != 0 ? std::strerror(errno) : "there is no such address here"));
  }
  result->address_ =
      absl::StrCat(address.substr(0, address.rfind(':')), ":", parsed->port);
  result->thread_ = std::thread([&server] { server.listen_after_bind(); });
  // Stopping works only once it runs, which it does in an instant.
  while (!server.is_running()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return result;
}

HttpServer::~HttpServer() {
  if (!thread_.joinable()) return;
  server_->stop();
  thread_.join();
}

bool IsLoopback(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const std::size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return false;
  const std::string host(address.substr(0, colon));
  if (host == "localhost" || host == "[::1]") return true;
  in_addr parsed = {};
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 &&
         ntohl(parsed.s_addr) >> 24 == IN_LOOPBACKNET;
}

}  // namespace userprofile::ops
