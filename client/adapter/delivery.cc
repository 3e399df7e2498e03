#include "client/adapter/delivery.h"

#include "absl/strings/str_cat.h"
#include "base/steady_time.h"
#include "client/adapter/profile_json.h"
#include "spdlog/spdlog.h"
#include "userprofile/client/errors.h"
#include "userprofile/client/recognition.h"

namespace userprofile::adapter {
namespace {

// What the bot, or what stands before it, says of itself and not of the update.
absl::Status SaidOfItself(const BotAnswer& answer) {
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

absl::StatusOr<BotAnswer> Delivery::Deliver(
    const UpdateLine& update, std::map<std::string, std::string> headers,
    Peer* failed) {
  const auto begin = base::SteadyTime::Now();
  std::string recognized = update.outcome.is_error() ? "unknown" : "ignored";
  if (update.contact) {
    const auto response = service_.UpsertUser(*update.contact);
    if (response.ok()) {
      recognized = client::RecognitionName(client::RecognitionOf(*response));
      headers[kProfileHeader] = ProfileHeader(response->profile());
    } else if (client::IsRefused(response.status())) {
      recognized = "unknown";
      spdlog::error("the service refuses the contact of update {}: {}",
                    update.outcome.update_id.value_or(0),
                    std::string(response.status().message()));
    } else {
      metrics_.SetPeer(Peer::kService, response.status());
      if (failed != nullptr) *failed = Peer::kService;
      return response.status();
    }
    metrics_.SetPeer(Peer::kService, absl::OkStatus());
  }
  headers[kRecognizedHeader] = recognized;
  absl::StatusOr<BotAnswer> answer = bot_.Post(update.text, headers);
  if (answer.ok()) {
    const absl::Status said = SaidOfItself(*answer);
    if (!said.ok()) answer = said;
  }
  metrics_.SetPeer(Peer::kBot, answer.status());
  if (!answer.ok() && failed != nullptr) *failed = Peer::kBot;
  // A handler that throws looks like this with many HTTP servers.
  if (absl::IsAborted(answer.status())) answer = BotAnswer{502, "", ""};
  if (answer.ok() && answer->taken()) {
    metrics_.CountDelivered(recognized, base::SteadyTime::Now() - begin);
  }
  return answer;
}

}  // namespace userprofile::adapter
