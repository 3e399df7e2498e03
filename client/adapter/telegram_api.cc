#include "client/adapter/telegram_api.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/adapter/update.h"
#include "client/telegram/object_reader.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;

constexpr absl::Duration kTimeout = absl::Seconds(30);
// Of an update. Telegram's have 32 bits; an offset far above them all would
// have them all forgotten.
constexpr std::int64_t kMaxUpdateId = (std::int64_t{1} << 52) - 1;
constexpr char kUnknownToken[] = "the Bot API does not know this bot token";
constexpr char kRetryAfter[] = "userprofile/retry-after-seconds";

absl::Status ErrorOf(const json& answer) {
  const json number = answer.value("error_code", json());
  const auto code = number.is_number_integer() ? number.get<std::int64_t>() : 0;
  switch (code) {
    case 401:
      return absl::UnauthenticatedError(kUnknownToken);
    case 404:
      return absl::NotFoundError("the Bot API does not know this method");
    case 409:
      return absl::AbortedError(
          "somebody else gets this bot's updates: another poller, or a webhook "
          "(deleteWebhook removes it)");
    case 429: {
      absl::Status status =
          absl::ResourceExhaustedError("the Bot API asks for a pause");
      const json parameters = answer.value("parameters", json::object());
      if (parameters.is_object() && parameters.contains("retry_after") &&
          parameters["retry_after"].is_number_integer()) {
        status.SetPayload(kRetryAfter,
                          absl::Cord(parameters["retry_after"].dump()));
      }
      return status;
    }
    default:
      break;
  }
  const std::string message =
      absl::StrCat("the Bot API answers with error ", code);
  return code >= 400 && code < 500 ? absl::InvalidArgumentError(message)
                                   : absl::UnavailableError(message);
}

bool IsUsable(const json& update) {
  if (!update.is_object()) return false;
  absl::Status error;
  const auto id =
      telegram::ObjectReader(update, "", error).Integer("update_id");
  return id && *id >= 0 && *id <= kMaxUpdateId;
}

}  // namespace

absl::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kRetryAfter);
  std::int64_t seconds = 0;
  if (!payload || !absl::SimpleAtoi(std::string(*payload), &seconds)) {
    return absl::nullopt;
  }
  return absl::Seconds(std::clamp<std::int64_t>(seconds, 0, 3600));
}

TelegramApi::TelegramApi(const HttpUrl& url, const std::string& token)
    : path_(absl::StrCat(url.path == "/" ? "" : url.path, "/bot", token, "/")),
      http_(url.origin, "the Bot API", kMaxBotApiAnswer,
            kBotApiConnectTimeout) {}

absl::StatusOr<json> TelegramApi::Send(const std::string& method,
                                       const json& arguments,
                                       absl::Duration timeout,
                                       const StopEvent* stop) {
  absl::StatusOr<HttpAnswer> http =
      http_.Post(path_ + method, ToText(arguments), timeout, {}, stop);
  if (!http.ok()) return absl::UnavailableError(http.status().message());
  json answer = ParseJson(http->body);
  const bool is_answer = answer.is_object() && answer.contains("ok");
  if (is_answer && answer["ok"] != true) return ErrorOf(answer);
  if (!is_answer || http->status != 200) {
    return absl::UnavailableError(absl::StrCat(
        "not the Bot API's words, with HTTP status ", http->status));
  }
  return std::move(answer["result"]);
}

absl::StatusOr<std::vector<json>> TelegramApi::GetUpdates(
    absl::optional<std::int64_t> offset, absl::Duration timeout,
    const StopEvent* stop) {
  // In whole seconds; 0 would not wait at all.
  timeout = absl::Ceil(timeout, absl::Seconds(1));
  json arguments = {{"timeout", absl::ToInt64Seconds(timeout)}, {"limit", 100}};
  if (offset) arguments["offset"] = *offset;
  absl::StatusOr<json> result =
      Send("getUpdates", arguments, timeout + kTimeout, stop);
  // The method is there: it is the token's part of the path that is not.
  if (absl::IsNotFound(result.status())) {
    return absl::UnauthenticatedError(kUnknownToken);
  }
  if (!result.ok()) return result.status();
  if (!result->is_array()) {
    return absl::UnavailableError("the Bot API gives no list of updates");
  }
  std::vector<json> updates;
  for (json& update : *result) {
    if (IsUsable(update)) updates.push_back(std::move(update));
  }
  if (updates.empty() && !result->empty()) {
    return absl::UnavailableError(
        "the Bot API gives updates without a usable update_id");
  }
  return updates;
}

absl::Status TelegramApi::Call(const json& call) {
  const json name = call.value("method", json());
  const std::string method = name.is_string() ? name.get<std::string>() : "";
  if (method.empty() ||
      !std::all_of(method.begin(), method.end(), absl::ascii_isalnum)) {
    return absl::InvalidArgumentError("the bot names no method");
  }
  json arguments = call;
  arguments.erase("method");
  return Send(method, arguments, kTimeout).status();
}

}  // namespace userprofile::adapter
