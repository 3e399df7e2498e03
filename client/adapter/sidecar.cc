#include "client/adapter/sidecar.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/adapter/json_api.h"
#include "ops/command_line.h"
#include "ops/listen.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {

void AddSidecarFlags(ops::Command command, SidecarOptions& options) {
  AddServiceFlags(command, options.service);
  if (options.forward) {
    ForwardOptions& forward = *options.forward;
    AddSecretFlag(command, forward.secret);
    ops::AddFlag(command, "--forward-to", forward.forward_to,
                 "Where the bot takes updates, such as http://127.0.0.1:8090/")
        .TypeName("URL")
        .Required();
    ops::AddDurationFlag(command, "--forward-timeout", forward.forward_timeout,
                         "How long the bot may take for an update");
  }
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

int Sidecar::Run(const SidecarOptions& options, bool always_ready,
                 const std::function<absl::Status(Sidecar&)>& work) {
  static StopEvent stop;
  StopOnSignals(stop);
  const auto sidecar = Start(options, stop, always_ready);
  if (!sidecar.ok()) return Fail(sidecar.status());
  const absl::Status status = work(**sidecar);
  if (!status.ok()) return Fail(status);
  spdlog::info("stopped");
  return ops::kDone;
}

absl::StatusOr<std::unique_ptr<Sidecar>> Sidecar::Start(
    const SidecarOptions& options, const StopEvent& stop, bool always_ready) {
  std::string secret;
  HttpUrl bot;
  if (options.forward) {
    USERPROFILE_ASSIGN_OR_RETURN(secret, ReadSecret(options.forward->secret));
    const auto url = ParseHttpUrl(options.forward->forward_to);
    if (!url.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--forward-to ", url.status().message()));
    }
    bot = *url;
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
  std::unique_ptr<Sidecar> sidecar(new Sidecar(stop, *std::move(service)));
  if (options.forward) {
    sidecar->secret_ = std::move(secret);
    sidecar->delivery_ = std::make_unique<Delivery>(
        std::move(bot), options.forward->forward_timeout, *sidecar->service_,
        sidecar->metrics_);
  }
  auto api = ops::HttpServer::Start(options.api_listen,
                                    {.threads = 64,
                                     .requests_per_connection = 1000,
                                     .transfer = absl::Seconds(30),
                                     .max_body = kMaxJsonRequest},
                                    JsonApi(*sidecar->service_));
  if (!api.ok()) return api.status();
  sidecar->api_ = *std::move(api);

  ops::AdminPages pages;
  pages.not_ready = [metrics = &sidecar->metrics_, always_ready] {
    return always_ready ? "" : metrics->Failing();
  };
  pages.metrics = [metrics = &sidecar->metrics_] { return metrics->Text(); };
  auto admin = ops::StartAdminServer(options.admin_listen, pages);
  if (!admin.ok()) return admin.status();
  sidecar->admin_ = *std::move(admin);
  return sidecar;
}

std::string Sidecar::addresses() const {
  return absl::StrCat("for the bot's calls on http://", api_->address(),
                      ", for people and probes on http://", admin_->address());
}

void AddBotApiFlag(ops::Command command, std::string& url) {
  ops::AddFlag(command, "--bot-api-url", url, "Where the Bot API is")
      .TypeName("URL");
}

absl::StatusOr<HttpUrl> ParseBotApiUrl(const std::string& url) {
  auto parsed = ParseHttpUrl(url);
  if (parsed.ok()) return parsed;
  return absl::InvalidArgumentError(
      absl::StrCat("--bot-api-url ", parsed.status().message()));
}

absl::Status CheckListen(const std::string& address, bool insecure) {
  if (insecure || ops::IsLoopback(address)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "would listen on ", address,
      ", beyond loopback, where callers are not identified; say --insecure if "
      "only trusted programs can reach that address"));
}

}  // namespace userprofile::adapter
