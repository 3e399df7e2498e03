#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "client/adapter/options.h"
#include "client/adapter/sidecar.h"
#include "client/adapter/stop_event.h"
#include "client/adapter/window.h"
#include "ops/command_line.h"
#include "ops/http_server.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

constexpr char kWebhookHelp[] =
    R"(Takes the bot's updates from Telegram's webhook, tells the service who contacts
the bot, and then posts each update to the bot, with)";
constexpr char kMoreWebhookHelp[] = R"(
The bot's answer is Telegram's. Until the contact is on disk and the bot has
answered 2xx, so does nobody, and Telegram tries again.

Telegram wants https: a proxy that ends TLS belongs in front. Tell Telegram by
  curl "https://api.telegram.org/bot$TOKEN/setWebhook" \
    -d url=https://bot.example/ -d secret_token="$SECRET"
The secret, as setWebhook was given it, is read from --webhook-secret-file, or
from USERPROFILE_WEBHOOK_SECRET. Without --bot-id a newcomer whose first update has
to be delivered again is "returning" then.)";

struct WebhookOptions {
  SidecarOptions sidecar{
      .forward = ForwardOptions{{"webhook secret", "--webhook-secret-file"}}};
  std::string listen = "127.0.0.1:8088";
  int max_connections = 128;

  // Of the one bot whose updates these are; 0: not known.
  std::int64_t bot_id = 0;
};

// The largest update that is taken, in bytes; Telegram's are much shorter.
constexpr std::size_t kMaxUpdate = 1024 * 1024;

constexpr char kSecretHeader[] = "X-Telegram-Bot-Api-Secret-Token";

// Where Telegram delivers updates, when it is told so by setWebhook. A POST to
// any path is
//   401  if it does not bring the secret that setWebhook was given,
//   413  if it is larger than kMaxUpdate,
//   400  if it is no update,
//   503  if the service can't store the contact now, or the bot is away,
// and changes nothing then (but for a bot that broke off). Else the answer is
// the bot's. Telegram tries again until it is 2xx, and carries out the method
// that it names. One user's updates are delivered in the order of their
// arrival, others, and those of nobody, at once.
class Webhook {
 public:
  // The sidecar must outlive it.
  Webhook(std::int64_t bot_id, Sidecar& sidecar)
      : bot_id_(bot_id == 0 ? "" : absl::StrCat(bot_id)),
        secret_(sidecar.secret()),
        delivery_(sidecar.delivery()),
        metrics_(sidecar.metrics()) {}

  // This must outlive the handler.
  ops::HttpHandler Handler() {
    return {
        .refuse = [this](const auto& request) { return Refuse(request); },
        .answer = [this](const auto& request) { return Answer(request); },
        .on_refused = [this](int status) { metrics_.CountRefusedCall(status); },
    };
  }

 private:
  absl::optional<ops::HttpResponse> Refuse(const ops::HttpRequest& request) {
    if (!SecretsEqual(std::string(request.Header(kSecretHeader)), secret_)) {
      return ops::HttpResponse{.status = 401};
    }
    if (request.method != "POST") return ops::MethodNotAllowed("POST");
    return absl::nullopt;
  }

  ops::HttpResponse Answer(const ops::HttpRequest& request) {
    const Update update = ReadUpdate(request.body, bot_id_);
    if (update.outcome.is_error()) {
      metrics_.CountRefusedCall(400);
      return {.status = 400};
    }
    const auto user = update.outcome.user_id;
    const auto turn = std::make_shared<std::promise<void>>();
    turns_.Take(user, [turn] { turn->set_value(); });
    turn->get_future().wait();
    absl::Cleanup give_up = [&] { turns_.GiveUp(user); };
    auto answer = delivery_.Deliver(
        update, {{kSecretHeader, std::string(request.Header(kSecretHeader))}});
    std::move(give_up).Invoke();
    if (!answer.ok()) {
      return {.status = 503, .headers = {{"Retry-After", "1"}}};
    }
    return {answer->status, std::move(answer->body),
            std::move(answer->content_type)};
  }

  const std::string bot_id_;  // empty: not known
  const std::string& secret_;
  Delivery& delivery_;
  AdapterMetrics& metrics_;
  Turns turns_;
};

int RunWebhook(const WebhookOptions& options) {
  const absl::Status listen =
      CheckListen(options.listen, options.sidecar.insecure);
  if (!listen.ok()) return Fail(listen);
  // Always ready: a failing bot or service is answered for by 503, and one
  // that gets no calls because of it would never be seen to be well again.
  return Sidecar::Run(
      options.sidecar, /*always_ready=*/true, [&](Sidecar& sidecar) {
        Webhook webhook(options.bot_id, sidecar);
        auto server =
            ops::HttpServer::Start(options.listen,
                                   {.threads = options.max_connections,
                                    .max_connections = options.max_connections,
                                    .requests_per_connection = 1000,
                                    .silence = absl::Seconds(10),
                                    .transfer = absl::Seconds(30),
                                    .max_body = kMaxUpdate},
                                   webhook.Handler());
        if (!server.ok()) return server.status();
        spdlog::info("taking updates on http://{}, {}", (*server)->address(),
                     sidecar.addresses());
        while (!sidecar.stop().WaitFor(absl::Hours(1))) continue;
        return absl::OkStatus();
      });
}

}  // namespace

void AddWebhookCommand(ops::CommandLine& command_line) {
  ops::Command flags = command_line.AddCommand(
      command_line.root(), "webhook",
      "Take updates from Telegram's webhook on their way to a bot");
  flags.Footer(absl::StrCat(kWebhookHelp, kHeadersHelp, kMoreWebhookHelp));
  const auto options = std::make_shared<WebhookOptions>();
  AddSidecarFlags(flags, options->sidecar);
  ops::AddFlag(flags, "--listen", options->listen,
               "HTTP for Telegram, behind a proxy that ends TLS")
      .TypeName("HOST:PORT");
  ops::AddFlag(flags, "--max-connections", options->max_connections,
               "How many connections are served at once")
      .TypeName("NUMBER")
      .Range(1, 4096);
  ops::AddFlag(
      flags, "--bot-id", options->bot_id,
      "The number that the bot's token begins with; makes a newcomer be "
      "new again when their update is delivered again")
      .TypeName("NUMBER");
  command_line.OnCall(flags, [options] { return RunWebhook(*options); });
}

}  // namespace userprofile::adapter
