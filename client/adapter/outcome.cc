#include "client/adapter/outcome.h"

#include <nlohmann/json.hpp>

#include "userprofile/client/errors.h"

namespace userprofile::adapter {
namespace {

using Json = nlohmann::ordered_json;

Json OrNull(const absl::optional<std::int64_t>& number) {
  return number ? Json(*number) : Json(nullptr);
}

}  // namespace

void Outcome::SetError(absl::string_view error_code,
                       absl::string_view error_message) {
  recognized = "error";
  code = std::string(error_code);
  message = std::string(error_message);
}

void Outcome::Set(const absl::StatusOr<client::Recognition>& recognition) {
  if (recognition.ok()) {
    recognized = client::RecognitionName(*recognition);
    return;
  }
  const absl::Status& status = recognition.status();
  SetError(absl::StatusCodeToString(status.code()), status.message());
  reason = client::Reason(status);
  is_passing_error = !client::IsRefused(status);
}

std::string ToJson(const Outcome& outcome) {
  Json json;
  json["update_id"] = OrNull(outcome.update_id);
  json["user_id"] = OrNull(outcome.user_id);
  json["recognized"] = outcome.recognized;
  if (outcome.is_error()) {
    json["code"] = outcome.code;
    if (!outcome.reason.empty()) json["reason"] = outcome.reason;
    json["message"] = outcome.message;
    json["line"] = outcome.line;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace userprofile::adapter
