#include "client/adapter/sidecar.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/adapter/http_client.h"
#include "client/adapter/json_api.h"
#include "httplib.h"
#include "ops/command_line.h"

namespace userprofile::adapter {

void AddSidecarFlags(ops::Command command, SidecarOptions& options) {
  AddServiceFlags(command, options.service);
  ops::AddFlag(command, "--forward-to", options.forward_to,
               "Where the bot takes updates, such as http://127.0.0.1:8090/")
      .TypeName("URL")
      .Required();
  ops::AddDurationFlag(command, "--forward-timeout", options.forward_timeout,
                       "How long the bot may take for an update");
  ops::AddFlag(command, "--api-listen", options.api_listen,
               "Where the bot can call the service by HTTP and JSON")
      .TypeName("HOST:PORT");
  ops::AddFlag(command, "--admin-listen", options.admin_listen,
               "HTTP for /livez, /readyz and /metrics")
      .TypeName("HOST:PORT");
  ops::AddSwitch(command, "--insecure", options.insecure,
                 "Listen beyond loopback although callers are not identified");
  ops::AddLoggingFlags(command, options.logging);
}

Sidecar::Sidecar(const SidecarOptions& options,
                 std::unique_ptr<client::ProfileClient> service, HttpUrl bot)
    : service_(std::move(service)),
      delivery_(std::move(bot), options.forward_timeout, *service_, metrics_) {}

absl::StatusOr<std::unique_ptr<Sidecar>> Sidecar::Start(
    const SidecarOptions& options,
    std::function<std::string(const AdapterMetrics&)> not_ready) {
  auto bot = ParseHttpUrl(options.forward_to);
  if (!bot.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--forward-to ", bot.status().message()));
  }
  for (const std::string& address :
       {options.api_listen, options.admin_listen}) {
    const absl::Status status = CheckListen(address, options.insecure);
    if (!status.ok()) return status;
  }
  const absl::Status logging = ops::SetUpLogging(options.logging);
  if (!logging.ok()) return logging;

  auto service = Connect(options.service);
  if (!service.ok()) return service.status();
  std::unique_ptr<Sidecar> sidecar(
      new Sidecar(options, *std::move(service), *std::move(bot)));
  ops::HttpServerOptions http;
  http.threads = 64;
  http.requests_per_connection = 1000;
  http.max_body = kMaxJsonRequest;
  auto api = ops::HttpServer::Start(options.api_listen, http,
                                    [&sidecar](httplib::Server& server) {
                                      AddJsonApi(*sidecar->service_, server);
                                    });
  if (!api.ok()) return api.status();
  sidecar->api_ = *std::move(api);

  ops::AdminPages pages;
  pages.not_ready = [metrics = &sidecar->metrics_,
                     not_ready = std::move(not_ready)] {
    return not_ready(*metrics);
  };
  pages.metrics = [metrics = &sidecar->metrics_] { return metrics->Text(); };
  auto admin = ops::StartAdminServer(options.admin_listen, std::move(pages));
  if (!admin.ok()) return admin.status();
  sidecar->admin_ = *std::move(admin);
  return sidecar;
}

std::string Sidecar::addresses() const {
  return absl::StrCat("for the bot's calls on http://", api_->address(),
                      ", for people and probes on http://", admin_->address());
}

absl::Status CheckListen(const std::string& address, bool insecure) {
  if (insecure || ops::IsLoopback(address)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "would listen on ", address,
      ", beyond loopback, where callers are not identified; say --insecure if "
      "only trusted programs can reach that address"));
}

}  // namespace userprofile::adapter
