#include "client/adapter/delivery.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/adapter/profile_json.h"
#include "client/errors.h"
#include "client/recognition.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

// Whether the service refuses this contact itself, whenever it is asked.
bool IsForGood(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ||
         client::Reason(status) == "ROW_REJECTED";
}

bool SaysItIsAway(const BotAnswer& answer) {
  return answer.status == 429 || (answer.status >= 502 && answer.status <= 504);
}

}  // namespace

absl::StatusOr<BotAnswer> Delivery::Deliver(
    const UpdateLine& update, const std::string& text,
    std::map<std::string, std::string> headers) {
  const absl::Time begin = absl::Now();
  std::string recognized = update.outcome.is_error() ? "unknown" : "ignored";
  if (update.contact) {
    const auto response = service_.UpsertUser(*update.contact);
    if (response.ok()) {
      recognized = client::RecognitionName(client::RecognitionOf(*response));
      headers[kProfileHeader] = ProfileHeader(response->profile());
    } else if (IsForGood(response.status())) {
      recognized = "unknown";
      spdlog::error("the service refuses the contact of update {}: {}",
                    update.outcome.update_id.value_or(0),
                    std::string(response.status().message()));
    } else {
      metrics_.SetPeer(Peer::kService, response.status());
      return response.status();
    }
    metrics_.SetPeer(Peer::kService, absl::OkStatus());
  }
  headers[kRecognizedHeader] = recognized;
  absl::StatusOr<BotAnswer> answer = bot_.Post(text, headers);
  if (answer.ok() && SaysItIsAway(*answer)) {
    answer = absl::UnavailableError(
        absl::StrCat("the bot answers with status ", answer->status));
  }
  metrics_.SetPeer(Peer::kBot, answer.status());
  if (answer.ok() && answer->taken()) {
    metrics_.CountDelivered(recognized, absl::Now() - begin);
  }
  return answer;
}

}  // namespace userprofile::adapter
