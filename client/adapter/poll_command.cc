#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/adapter/commands.h"
#include "client/adapter/http_url.h"
#include "client/adapter/poller.h"
#include "client/adapter/secret.h"
#include "client/adapter/sidecar.h"
#include "client/adapter/stop_event.h"
#include "client/adapter/telegram_api.h"
#include "ops/command_line.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

constexpr char kHelp[] =
    R"(Gets the bot's updates from Telegram by long polling, tells the service who
contacts the bot, and then posts each update to the bot as a webhook would, with

  X-User-Recognized  new, returning or onboarded; ignored if the update is
                     nobody's contact, unknown if it can't be stored
  X-User-Profile     the profile: JSON in base64url

The bot answers 2xx once it has handled the update; its answer may name a method
for Telegram ({"method": "sendMessage", "chat_id": ..., "text": ...}). Only then
is the update confirmed. After a crash some come again. One that fails by itself
--attempts times, with nobody else's, is passed over.

The bot token is read from --bot-token-file, or from USERPROFILE_BOT_TOKEN.)";

struct PollCommand {
  SidecarFlags sidecar;
  PollOptions options;
  std::string bot_api_url = "https://api.telegram.org";
  std::string token_file;
};

int Poll(const PollCommand& command) {
  auto url = ParseHttpUrl(command.bot_api_url);
  if (!url.ok()) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("--bot-api-url ", url.status().message())));
  }
  auto token = ReadSecret(command.token_file, "USERPROFILE_BOT_TOKEN");
  if (!token.ok()) {
    return Fail(absl::Status(
        token.status().code(),
        absl::StrCat("no bot token: ", token.status().message(),
                     "; --bot-token-file or USERPROFILE_BOT_TOKEN gives it")));
  }
  static StopEvent stop;
  StopOnSignals(stop);
  auto sidecar = Sidecar::Start(
      command.sidecar,
      [](const AdapterMetrics& metrics) { return metrics.Failing(); });
  if (!sidecar.ok()) return Fail(sidecar.status());
  TelegramApi telegram(*std::move(url), *std::move(token));
  spdlog::info("polling, {}", (*sidecar)->addresses());
  const absl::Status status =
      RunPoll(command.options, telegram, (*sidecar)->delivery(),
              (*sidecar)->metrics(), stop);
  if (!status.ok()) return Fail(status);
  spdlog::info("stopped");
  return ops::kDone;
}

}  // namespace

void AddPollCommand(ops::CommandLine& command_line) {
  ops::Command flags = command_line.AddCommand(
      command_line.root(), "poll",
      "Get updates from Telegram, and bring them to a bot");
  flags.Footer(kHelp);
  auto command = std::make_shared<PollCommand>();
  AddSidecarFlags(flags, command->sidecar);
  ops::AddFlag(flags, "--bot-api-url", command->bot_api_url,
               "Where the Bot API is")
      .TypeName("URL");
  ops::AddFlag(flags, "--bot-token-file", command->token_file,
               "A file that holds the bot token")
      .TypeName("FILE");
  ops::AddDurationFlag(flags, "--poll-timeout", command->options.poll_timeout,
                       "How long Telegram shall wait for an update");
  ops::AddFlag(flags, "--in-flight", command->options.in_flight,
               "How many updates the bot gets at once")
      .TypeName("NUMBER")
      .Range(1, 100);
  ops::AddFlag(flags, "--attempts", command->options.attempts,
               "How often an update is tried that fails by itself: with an "
               "error, a broken or too long answer, or none in time")
      .TypeName("NUMBER")
      .Range(1, 1000);
  command_line.OnCall(flags, [command] { return Poll(*command); });
}

}  // namespace userprofile::adapter
