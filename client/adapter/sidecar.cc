#include "client/adapter/sidecar.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/adapter/http_url.h"
#include "client/adapter/profile_api.h"
#include "httplib.h"
#include "ops/command_line.h"

namespace userprofile::adapter {
namespace {

constexpr int kApiThreads = 64;
constexpr int kApiRequestsPerConnection = 1000;

}  // namespace

void AddSidecarFlags(ops::Command command, SidecarFlags& flags) {
  AddServiceFlags(command, flags.service);
  ops::AddFlag(command, "--forward-to", flags.forward_to,
               "Where the bot takes updates, such as http://127.0.0.1:8090/")
      .TypeName("URL")
      .Required();
  ops::AddDurationFlag(command, "--forward-timeout", flags.forward_timeout,
                       "How long the bot may take for an update");
  ops::AddFlag(command, "--api-listen", flags.api_listen,
               "Where the bot can call the service by HTTP and JSON")
      .TypeName("HOST:PORT");
  ops::AddFlag(command, "--admin-listen", flags.admin_listen,
               "HTTP for /livez, /readyz and /metrics")
      .TypeName("HOST:PORT");
  ops::AddSwitch(command, "--insecure", flags.insecure,
                 "Listen beyond loopback although callers are not identified");
  ops::AddLoggingFlags(command, flags.logging);
}

Sidecar::Sidecar(const SidecarFlags& flags,
                 std::unique_ptr<client::ProfileClient> service, HttpUrl bot)
    : service_(std::move(service)),
      bot_(std::move(bot), flags.forward_timeout),
      delivery_(*service_, bot_, metrics_) {}

absl::StatusOr<std::unique_ptr<Sidecar>> Sidecar::Start(
    const SidecarFlags& flags,
    std::function<std::string(const AdapterMetrics&)> not_ready) {
  auto bot = ParseHttpUrl(flags.forward_to);
  if (!bot.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--forward-to ", bot.status().message()));
  }
  for (const std::string& address : {flags.api_listen, flags.admin_listen}) {
    const absl::Status status = CheckListen(address, flags.insecure);
    if (!status.ok()) return status;
  }
  const absl::Status logging = ops::SetUpLogging(flags.logging);
  if (!logging.ok()) return logging;

  auto service = Connect(flags.service);
  if (!service.ok()) return service.status();
  std::unique_ptr<Sidecar> sidecar(
      new Sidecar(flags, *std::move(service), *std::move(bot)));
  ops::HttpServerOptions options;
  options.threads = kApiThreads;
  options.requests_per_connection = kApiRequestsPerConnection;
  options.max_body = kMaxProfileRequest;
  auto api = ops::HttpServer::Start(flags.api_listen, options,
                                    [&sidecar](httplib::Server& server) {
                                      AddProfileApi(*sidecar->service_, server);
                                    });
  if (!api.ok()) return api.status();
  sidecar->api_ = *std::move(api);

  ops::AdminPages pages;
  pages.not_ready = [metrics = &sidecar->metrics_,
                     not_ready = std::move(not_ready)] {
    return not_ready(*metrics);
  };
  pages.metrics = [metrics = &sidecar->metrics_] { return metrics->Text(); };
  auto admin = ops::StartAdminServer(flags.admin_listen, std::move(pages));
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
