#include "client/adapter/delivery.h"

#include <cstddef>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/steady_time.h"
#include "client/adapter/sender.h"

namespace userprofile::adapter {
namespace {

constexpr std::size_t kMaxBotAnswer = 1024 * 1024;

// What the bot, or what stands before it, says of itself and not of the update.
absl::Status SaidOfItself(const HttpAnswer& answer) {
  const std::string text =
      absl::StrCat("the bot answers with status ", answer.status);
  switch (answer.status) {
    case 429:
    case 503:
      return absl::ResourceExhaustedError(text);
    case 502:
    case 504:
      return absl::UnavailableError(text);
    default:
      return absl::OkStatus();
  }
}

}  // namespace

Delivery::Delivery(HttpUrl bot, absl::Duration timeout,
                   client::ProfileClient& service, AdapterMetrics& metrics)
    : path_(std::move(bot.path)),
      timeout_(timeout),
      service_(service),
      metrics_(metrics),
      bot_(std::move(bot.origin), "the bot", kMaxBotAnswer,
           /*connect_timeout=*/absl::Seconds(5)) {}

absl::StatusOr<Recognized> Delivery::TellService(
    const Update& update, std::map<std::string, std::string>& headers) {
  if (!update.contact) return update.outcome.recognized;
  const auto sender =
      SenderOf(update, service_.UpsertUser(*update.contact), metrics_);
  if (!sender.ok()) return sender.status();
  if (!sender->profile.empty()) {
    headers[kProfileHeader] = absl::WebSafeBase64Escape(sender->profile);
  }
  return sender->recognized;
}

absl::StatusOr<HttpAnswer> Delivery::Deliver(
    const Update& update, std::map<std::string, std::string> headers,
    Peer* failed) {
  const auto begin = base::SteadyTime::Now();
  const auto recognized = TellService(update, headers);
  if (!recognized.ok()) {
    if (failed != nullptr) *failed = kService;
    return recognized.status();
  }
  headers[kRecognizedHeader] = NameForBot(*recognized);
  absl::StatusOr<HttpAnswer> answer =
      bot_.Post(path_, update.text, timeout_, headers);
  if (answer.ok()) {
    const absl::Status said = SaidOfItself(*answer);
    if (!said.ok()) answer = said;
  }
  // That it refuses one says nothing about the bot.
  if (!answer.ok() || IsTaken(*answer)) {
    metrics_.SetPeer(kBot, answer.status());
  }
  if (!answer.ok() && failed != nullptr) *failed = kBot;
  // A handler that throws looks like this with many HTTP servers.
  if (absl::IsAborted(answer.status())) answer = HttpAnswer{502, "", ""};
  if (answer.ok() && IsTaken(*answer)) {
    metrics_.CountDelivered(*recognized, base::SteadyTime::Now() - begin);
  }
  return answer;
}

}  // namespace userprofile::adapter
