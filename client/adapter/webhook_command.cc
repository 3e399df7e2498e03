#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/adapter/commands.h"
#include "client/adapter/secret.h"
#include "client/adapter/sidecar.h"
#include "client/adapter/stop_event.h"
#include "client/adapter/webhook.h"
#include "ops/command_line.h"
#include "ops/http_server.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

constexpr char kHelp[] =
    R"(Takes the bot's updates from Telegram's webhook, tells the service who contacts
the bot, and then posts each update to the bot, with

  X-User-Recognized  new, returning or onboarded; ignored if the update is
                     nobody's contact, unknown if it can't be stored
  X-User-Profile     the profile: JSON in base64url

The bot's answer is Telegram's. Until the contact is on disk and the bot has
answered 2xx, so does nobody, and Telegram tries again.

Telegram wants https: a proxy that ends TLS belongs in front. Tell Telegram by
  curl "https://api.telegram.org/bot$TOKEN/setWebhook" \
    -d url=https://bot.example/ -d secret_token="$SECRET"
The secret is read from --webhook-secret-file, or from
USERPROFILE_WEBHOOK_SECRET.)";

struct WebhookCommand {
  SidecarFlags sidecar;
  std::string listen = "127.0.0.1:8088";
  std::string secret_file;
  int max_connections = 128;
};

int RunWebhook(const WebhookCommand& command) {
  auto secret = ReadSecret(command.secret_file, "USERPROFILE_WEBHOOK_SECRET");
  if (!secret.ok()) {
    return Fail(absl::Status(
        secret.status().code(),
        absl::StrCat("no webhook secret: ", secret.status().message(),
                     "; --webhook-secret-file or USERPROFILE_WEBHOOK_SECRET "
                     "gives it")));
  }
  const absl::Status listen =
      CheckListen(command.listen, command.sidecar.insecure);
  if (!listen.ok()) return Fail(listen);
  static StopEvent stop;
  StopOnSignals(stop);
  // Always ready: a failing bot or service is answered for by 503, and one
  // that gets no calls because of it would never be seen to be well again.
  auto sidecar = Sidecar::Start(
      command.sidecar, [](const AdapterMetrics&) { return std::string(); });
  if (!sidecar.ok()) return Fail(sidecar.status());
  Webhook webhook(*std::move(secret), (*sidecar)->delivery(),
                  (*sidecar)->metrics());
  ops::HttpServerOptions options;
  options.threads = command.max_connections;
  options.requests_per_connection = 1000;
  options.read_timeout = 10;
  options.write_timeout = 10;
  options.max_body = kMaxUpdate;
  auto server = ops::HttpServer::Start(
      command.listen, options,
      [&webhook](httplib::Server& http) { webhook.AddTo(http); });
  if (!server.ok()) return Fail(server.status());
  spdlog::info("taking updates on http://{}, {}", (*server)->address(),
               (*sidecar)->addresses());
  while (!stop.WaitFor(absl::Hours(1))) continue;
  server->reset();
  spdlog::info("stopped");
  return ops::kDone;
}

}  // namespace

void AddWebhookCommand(ops::CommandLine& command_line) {
  ops::Command flags = command_line.AddCommand(
      command_line.root(), "webhook",
      "Take updates from Telegram's webhook on their way to a bot");
  flags.Footer(kHelp);
  auto command = std::make_shared<WebhookCommand>();
  AddSidecarFlags(flags, command->sidecar);
  ops::AddFlag(flags, "--listen", command->listen,
               "HTTP for Telegram, behind a proxy that ends TLS")
      .TypeName("HOST:PORT");
  ops::AddFlag(flags, "--webhook-secret-file", command->secret_file,
               "A file that holds the secret that setWebhook was given")
      .TypeName("FILE");
  ops::AddFlag(flags, "--max-connections", command->max_connections,
               "How many connections are served at once")
      .TypeName("NUMBER")
      .Range(1, 4096);
  command_line.OnCall(flags, [command] { return RunWebhook(*command); });
}

}  // namespace userprofile::adapter
