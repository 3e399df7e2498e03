#include "client/adapter/update.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "client/telegram/object_reader.h"
#include "userprofile/client/errors.h"
#include "userprofile/telegram/update.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 100;

// The parser's own messages quote what they stumble over.
json Parse(const std::string& text) {
  return json::parse(
      text,
      [](int depth, json::parse_event_t, json&) { return depth <= kMaxDepth; },
      /*allow_exceptions=*/false);
}

// The code unit that is written as "\uXXXX" there; 0 if it is something else.
std::uint32_t CodeUnitAt(absl::string_view text, std::size_t at) {
  std::uint32_t unit = 0;
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u' ||
      !absl::SimpleHexAtoi(text.substr(at + 2, 4), &unit)) {
    return 0;
  }
  return unit;
}

std::string Mend(const std::string& text) {
  // The library replaces wrong bytes where it writes, but not where it reads.
  std::string result = json::parse(ToText(text)).get<std::string>();
  std::size_t next;
  for (auto at = result.find('\\'); at != std::string::npos;
       at = result.find('\\', next)) {
    const std::uint32_t half = CodeUnitAt(result, at) >> 10;
    next = at + 2;
    if (half == 0xd800 >> 10 &&
        CodeUnitAt(result, at + 6) >> 10 == 0xdc00 >> 10) {
      next = at + 12;
    } else if (half == 0xd800 >> 10 || half == 0xdc00 >> 10) {
      result.replace(at + 2, 4, "fffd");
    }
  }
  return result;
}

void Read(const json& update, absl::string_view bot, Update& result) {
  Outcome& outcome = result.outcome;
  if (update.is_discarded()) {
    outcome.SetError("INVALID_JSON", "the line is not one JSON value");
    return;
  }
  if (!update.is_object()) {
    outcome.SetError("INVALID_UPDATE", "an update is a JSON object");
    return;
  }
  absl::Status error;
  outcome.update_id =
      telegram::ObjectReader(update, "", error).Integer("update_id");
  if (!outcome.update_id) {
    outcome.SetError("INVALID_UPDATE",
                     error.ok() ? "update_id is missing" : error.message());
    return;
  }
  auto contact = telegram::ContactOf(update, bot);
  if (!contact.ok()) {
    outcome.SetError("INVALID_UPDATE", contact.status().message());
    return;
  }
  result.contact = *std::move(contact);
  if (result.contact) outcome.user_id = result.contact->user_id();
}

}  // namespace

json ParseJson(std::string& text) {
  json value = Parse(text);
  if (!value.is_discarded()) return value;
  std::string mended = Mend(text);
  if (mended == text) return value;
  text = std::move(mended);
  return Parse(text);
}

std::string ToText(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

const char* NameOf(Recognized recognized) {
  return kRecognizedNames[static_cast<std::size_t>(recognized)];
}

const char* NameForBot(Recognized recognized) {
  return recognized == Recognized::kError ? "unknown" : NameOf(recognized);
}

void Outcome::SetError(absl::string_view error_code,
                       absl::string_view error_message) {
  recognized = Recognized::kError;
  code = std::string(error_code);
  message = std::string(error_message);
}

void Outcome::Set(const absl::StatusOr<client::Recognition>& recognition) {
  if (recognition.ok()) {
    recognized = static_cast<Recognized>(*recognition);
    return;
  }
  const absl::Status& status = recognition.status();
  SetError(absl::StatusCodeToString(status.code()), status.message());
  reason = client::Reason(status);
  is_passing_error = !client::IsRefused(status);
}

std::string ToJson(const Outcome& outcome) {
  nlohmann::ordered_json line = {{"update_id", nullptr}, {"user_id", nullptr}};
  if (outcome.update_id) line["update_id"] = *outcome.update_id;
  if (outcome.user_id) line["user_id"] = *outcome.user_id;
  line["recognized"] = NameOf(outcome.recognized);
  if (outcome.is_error()) {
    line["code"] = outcome.code;
    if (!outcome.reason.empty()) line["reason"] = outcome.reason;
    line["message"] = outcome.message;
    line["line"] = outcome.line;
  }
  return line.dump(-1, ' ', false, json::error_handler_t::replace);
}

Update ReadUpdateLine(Line line) {
  Update result;
  result.outcome.line = line.number;
  if (line.too_long) {
    result.outcome.SetError("LINE_TOO_LONG",
                            "the line is longer than any update");
  } else {
    Read(ParseJson(line.text), /*bot=*/"", result);
  }
  return result;
}

Update ReadUpdate(std::string text, absl::string_view bot) {
  Update result;
  Read(ParseJson(text), bot, result);
  result.text = std::move(text);
  return result;
}

Update ReadUpdate(const json& update, absl::string_view bot) {
  Update result;
  Read(update, bot, result);
  result.text = ToText(update);
  return result;
}

}  // namespace userprofile::adapter
