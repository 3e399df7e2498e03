#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/adapter/bot_api_proxy.h"
#include "client/adapter/options.h"
#include "client/adapter/sidecar.h"
#include "ops/command_line.h"
#include "ops/http_server.h"
#include "ops/listen.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

constexpr char kProxyHelp[] =
    R"(Speaks the Bot API, for any number of bots. A bot changes its API root to this
address and nothing else: what it calls goes to Telegram as it is, files too.
Of getUpdates' answers, the contacts are stored before the bot gets them, and
each update from a user has one more member,
  "userprofile": {"recognized": "new", "profile": {"user_id": "101", ...}}
with new, returning or onboarded; or unknown, and no profile, if the contact
can't be stored, now or ever. While the service is away, getUpdates takes a
second longer than its timeout and brings no updates: they come again.

Updates that Telegram delivers to a webhook do not pass here: see
userprofile-adapter webhook.)";

struct ProxyOptions {
  SidecarOptions sidecar;
  std::string listen = "127.0.0.1:8081";
  std::string bot_api_url = kBotApiUrl;
  int max_connections = 512;
};

int RunProxy(const ProxyOptions& options) {
  const absl::Status listen =
      CheckListen(options.listen, options.sidecar.insecure);
  if (!listen.ok()) return Fail(listen);
  const auto url = ParseBotApiUrl(options.bot_api_url);
  if (!url.ok()) return Fail(url.status());
  // Always ready, as `webhook` is: a bot is better off waiting.
  return Sidecar::Run(
      options.sidecar, /*always_ready=*/true, [&](Sidecar& sidecar) {
        BotApiProxy proxy(*url, sidecar.service(), sidecar.metrics(),
                          sidecar.stop());
        // One that the bot has, and one to Telegram with what waits for both.
        ops::RaiseOpenFilesLimit();
        // Resting connections are kept for longer than bots keep them: a
        // request that is sent as one is ended would be lost.
        auto server =
            ops::HttpServer::Start(options.listen,
                                   {.threads = options.max_connections,
                                    .max_connections = options.max_connections,
                                    .requests_per_connection = 1'000'000,
                                    .silence = absl::Minutes(5),
                                    .transfer = absl::Minutes(5),
                                    .lifetime = absl::Hours(1)},
                                   proxy.Handler());
        if (!server.ok()) return server.status();
        spdlog::info("the Bot API is at http://{}, {}", (*server)->address(),
                     sidecar.addresses());
        while (!sidecar.stop().WaitFor(absl::Hours(1))) continue;
        return absl::OkStatus();
      });
}

}  // namespace

void AddProxyCommand(ops::CommandLine& command_line) {
  ops::Command flags = command_line.AddCommand(
      command_line.root(), "proxy",
      "Speak the Bot API, for bots that poll: each update says who it is from");
  flags.Footer(kProxyHelp);
  const auto options = std::make_shared<ProxyOptions>();
  AddSidecarFlags(flags, options->sidecar);
  ops::AddFlag(flags, "--listen", options->listen,
               "HTTP for the bots: their API root")
      .TypeName("HOST:PORT");
  AddBotApiFlag(flags, options->bot_api_url);
  ops::AddFlag(flags, "--max-connections", options->max_connections,
               "How many connections are served at once")
      .TypeName("NUMBER")
      .Range(1, 4096);
  command_line.OnCall(flags, [options] { return RunProxy(*options); });
}

}  // namespace userprofile::adapter
