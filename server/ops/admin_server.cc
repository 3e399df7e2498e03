#include "server/ops/admin_server.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "httplib.h"
#include "server/base/error_info.h"

namespace userprofile::ops {
namespace {

constexpr int kThreads = 4;
constexpr int kReadTimeoutSeconds = 2;
constexpr int kWriteTimeoutSeconds = 5;
constexpr char kText[] = "text/plain; charset=utf-8";

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

void Configure(httplib::Server& server) {
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_socket_options(SetSocketOptions);
  server.set_keep_alive_max_count(1);
  server.set_keep_alive_timeout(kReadTimeoutSeconds);
  server.set_read_timeout(kReadTimeoutSeconds);
  server.set_write_timeout(kWriteTimeoutSeconds);
  server.set_payload_max_length(1024);
}

void AddPages(httplib::Server& server, const Readiness& readiness,
              const Metrics& metrics) {
  server.Get("/livez", [](const httplib::Request&, httplib::Response& answer) {
    answer.set_content("ok\n", kText);
  });
  server.Get(
      "/readyz", [&](const httplib::Request&, httplib::Response& answer) {
        const absl::Status state = readiness.state();
        if (state.ok()) {
          answer.set_content("ready\n", kText);
          return;
        }
        answer.status = 503;
        answer.set_content(
            absl::StrCat(base::ErrorReason(state), ": ", state.message(), "\n"),
            kText);
      });
  server.Get("/metrics",
             [&](const httplib::Request&, httplib::Response& answer) {
               answer.set_content(metrics.Text(),
                                  "text/plain; version=0.0.4; charset=utf-8");
             });
}

}  // namespace

AdminServer::AdminServer() : server_(std::make_unique<httplib::Server>()) {}

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(
    absl::string_view address, const Readiness& readiness,
    const Metrics& metrics) {
  absl::StatusOr<HostAndPort> parsed = ParseAddress(address);
  if (!parsed.ok()) return parsed.status();

  std::unique_ptr<AdminServer> admin(new AdminServer);
  httplib::Server& server = *admin->server_;
  Configure(server);
  AddPages(server, readiness, metrics);

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
  admin->address_ =
      absl::StrCat(address.substr(0, address.rfind(':')), ":", parsed->port);
  admin->thread_ = std::thread([&server] { server.listen_after_bind(); });
  // Stopping works only once it runs, which it does in an instant.
  while (!server.is_running()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return admin;
}

AdminServer::~AdminServer() {
  if (!thread_.joinable()) return;
  server_->stop();
  thread_.join();
}

}  // namespace userprofile::ops
