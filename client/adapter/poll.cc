#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/adapter/dead_letters.h"
#include "client/adapter/options.h"
#include "client/adapter/poller.h"
#include "client/adapter/sidecar.h"
#include "client/adapter/telegram_api.h"
#include "ops/command_line.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

constexpr char kPollHelp[] =
    R"(Gets the bot's updates from Telegram by long polling, tells the service who
contacts the bot, and then posts each update to the bot as a webhook would, with)";
constexpr char kMorePollHelp[] = R"(
The bot answers 2xx once it has handled the update; its answer may name a method
for Telegram ({"method": "sendMessage", "chat_id": ..., "text": ...}). Only then
is the update confirmed. After a crash some come again. One that fails by itself
--attempts times is passed over, and kept in --dead-letter for 'replay'. What the
bot refuses of everybody, by a wrong path say, is waited out.

The bot token is read from --bot-token-file, or from USERPROFILE_BOT_TOKEN.)";

constexpr char kReplayHelp[] =
    R"(Brings updates to the bot that 'poll' passed over, as its --dead-letter keeps them:
the service hears of the contacts, and the bot gets them with)";
constexpr char kMoreReplayHelp[] = R"(
One user's are brought in order; nothing is asked of Telegram, but what the bot's
answers name. While 'poll' runs, move its file away first, and replay that: it makes
a new one. The file stays as it is; remove it once all is done. What is passed over
again is in --dead-letter, if that is named, and the exit code is 1.)";

struct PollOptions {
  SidecarOptions sidecar{.forward =
                             ForwardOptions{{"bot token", "--bot-token-file"}}};
  std::string bot_api_url = kBotApiUrl;
  PollerOptions poller = {};
  std::string file = {};  // of replay
};

class TelegramSource final : public UpdateSource {
 public:
  explicit TelegramSource(TelegramApi& telegram) : telegram_(telegram) {}

  absl::StatusOr<std::vector<nlohmann::json>> GetUpdates(
      absl::optional<std::int64_t> offset, absl::Duration timeout,
      const StopEvent* stop) override {
    return telegram_.GetUpdates(offset, timeout, stop);
  }
  bool ended() const override { return false; }
  bool keeps() const override { return false; }

 private:
  TelegramApi& telegram_;
};

using Work = absl::Status (*)(const PollOptions&, const PollerOptions&,
                              TelegramApi&, Sidecar&);

absl::Status Poll(const PollOptions& /*options*/, const PollerOptions& poller,
                  TelegramApi& telegram, Sidecar& sidecar) {
  TelegramSource source(telegram);
  spdlog::info("polling, {}", sidecar.addresses());
  return DeliverUpdates(poller, source, telegram, sidecar).status();
}

absl::Status Replay(const PollOptions& options, const PollerOptions& poller,
                    TelegramApi& telegram, Sidecar& sidecar) {
  std::error_code error;
  if (std::filesystem::equivalent(options.file, poller.dead_letter, error)) {
    return absl::InvalidArgumentError(
        "--dead-letter is the file that is read: name another one");
  }
  USERPROFILE_ASSIGN_OR_RETURN(
      const auto source, DeadLetterSource::Read(options.file, sidecar.stop()));
  spdlog::info("bringing {} updates to the bot", source->size());
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::int64_t passed_over,
      DeliverUpdates(poller, *source, telegram, sidecar));
  if (!source->ended()) {
    return absl::CancelledError("stopped before all updates were done");
  }
  if (passed_over + source->unreadable() > 0) {
    return absl::AbortedError(
        absl::StrCat(passed_over, " updates were passed over again, and ",
                     source->unreadable(), " lines are no updates"));
  }
  spdlog::info("all are done");
  return absl::OkStatus();
}

int RunWork(const PollOptions& options, Work work) {
  const auto url = ParseBotApiUrl(options.bot_api_url);
  if (!url.ok()) return Fail(url.status());
  PollerOptions poller = options.poller;
  poller.forward_timeout = options.sidecar.forward->forward_timeout;
  return Sidecar::Run(
      options.sidecar, /*always_ready=*/false, [&](Sidecar& sidecar) {
        const std::string& token = sidecar.secret();
        if (!std::all_of(token.begin(), token.end(), absl::ascii_isgraph)) {
          return absl::InvalidArgumentError("the bot token is not one word");
        }
        TelegramApi telegram(*url, token);
        return work(options, poller, telegram, sidecar);
      });
}

}  // namespace

void AddPollCommand(ops::CommandLine& command_line) {
  ops::Command flags = command_line.AddCommand(
      command_line.root(), "poll",
      "Get updates from Telegram, and bring them to a bot");
  flags.Footer(absl::StrCat(kPollHelp, kHeadersHelp, kMorePollHelp));
  const auto options = std::make_shared<PollOptions>();
  AddSidecarFlags(flags, options->sidecar);
  AddBotApiFlag(flags, options->bot_api_url);
  ops::AddDurationFlag(flags, "--poll-timeout", options->poller.poll_timeout,
                       "How long Telegram shall wait for an update");
  AddPollerFlags(flags, options->poller);
  command_line.OnCall(flags, [options] { return RunWork(*options, Poll); });
}

void AddReplayCommand(ops::CommandLine& command_line) {
  ops::Command flags =
      command_line.AddCommand(command_line.root(), "replay",
                              "Bring updates to a bot that were passed over");
  flags.Footer(absl::StrCat(kReplayHelp, kHeadersHelp, kMoreReplayHelp));
  const auto options = std::make_shared<PollOptions>();
  // Beside a `poll` that runs on.
  options->sidecar.api_listen = "127.0.0.1:0";
  options->sidecar.admin_listen = "127.0.0.1:0";
  ops::AddArgument(flags, "FILE", options->file, "What was passed over");
  AddSidecarFlags(flags, options->sidecar);
  AddBotApiFlag(flags, options->bot_api_url);
  AddPollerFlags(flags, options->poller);
  command_line.OnCall(flags, [options] { return RunWork(*options, Replay); });
}

}  // namespace userprofile::adapter
