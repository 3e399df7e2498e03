#include "client/adapter/telegram_api.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/adapter/json_text.h"
#include "client/telegram/object_reader.h"
#include "httplib.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;

constexpr int kConnectTimeoutSeconds = 10;
constexpr int kTimeoutSeconds = 30;
// A hundred updates are much shorter.
constexpr std::size_t kMaxAnswer = 64 * 1024 * 1024;
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

TelegramApi::TelegramApi(HttpUrl url, std::string token)
    : url_(std::move(url)),
      token_(std::move(token)),
      poller_(NewClient()),
      clients_([this] { return NewClient(); }) {}

TelegramApi::~TelegramApi() = default;

std::unique_ptr<httplib::Client> TelegramApi::NewClient() const {
  auto client = std::make_unique<httplib::Client>(url_.origin);
  client->set_keep_alive(true);
  client->set_tcp_nodelay(true);
  client->set_connection_timeout(kConnectTimeoutSeconds);
  client->set_read_timeout(kTimeoutSeconds);
  client->set_write_timeout(kTimeoutSeconds);
  return client;
}

absl::StatusOr<json> TelegramApi::Send(httplib::Client& client,
                                       const std::string& method,
                                       const json& arguments) const {
  const std::string path = absl::StrCat(url_.path == "/" ? "" : url_.path,
                                        "/bot", token_, "/", method);
  httplib::Request request;
  request.method = "POST";
  request.path = path;
  request.body = arguments.dump(-1, ' ', false, json::error_handler_t::replace);
  request.set_header("Content-Type", "application/json");
  std::string body;
  request.content_receiver = [&body](const char* data, std::size_t size,
                                     std::uint64_t, std::uint64_t) {
    body.append(data, size);
    return body.size() <= kMaxAnswer;
  };
  const httplib::Result result = client.send(request);
  if (!result) {
    return absl::UnavailableError(
        absl::StrCat("no answer from the Bot API (",
                     httplib::to_string(result.error()), ")"));
  }
  json answer = ParseJson(body);
  const bool is_answer = answer.is_object() && answer.contains("ok");
  if (is_answer && answer["ok"] != true) return ErrorOf(answer);
  if (!is_answer || result->status != 200) {
    return absl::UnavailableError(absl::StrCat(
        "not the Bot API's words, with HTTP status ", result->status));
  }
  return std::move(answer["result"]);
}

absl::StatusOr<std::vector<json>> TelegramApi::GetUpdates(
    absl::optional<std::int64_t> offset, absl::Duration timeout) {
  // In whole seconds; 0 would not wait at all.
  timeout = absl::Ceil(timeout, absl::Seconds(1));
  json arguments = {{"timeout", absl::ToInt64Seconds(timeout)}, {"limit", 100}};
  if (offset) arguments["offset"] = *offset;
  poller_->set_read_timeout(
      absl::ToChronoSeconds(timeout + absl::Seconds(kTimeoutSeconds)));
  absl::StatusOr<json> result = Send(*poller_, "getUpdates", arguments);
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

void TelegramApi::StopWaiting() { poller_->stop(); }

absl::Status TelegramApi::Call(const json& call) {
  const json name = call.value("method", json());
  const std::string method = name.is_string() ? name.get<std::string>() : "";
  if (method.empty() ||
      !std::all_of(method.begin(), method.end(), absl::ascii_isalnum)) {
    return absl::InvalidArgumentError("the bot names no method");
  }
  json arguments = call;
  arguments.erase("method");
  std::unique_ptr<httplib::Client> client = clients_.Take();
  const absl::StatusOr<json> result = Send(*client, method, arguments);
  clients_.GiveBack(std::move(client));
  return result.status();
}

}  // namespace userprofile::adapter
