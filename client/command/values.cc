#include "client/command/values.h"

#include <cmath>
#include <cstddef>

#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/limits.h"

namespace userprofile::command {
namespace {

// From here on, a double does not have every whole number.
constexpr double kTooLarge = 9007199254740992;  // 2^53

constexpr std::size_t kDateLength = 10;  // of "2026-11-22"

bool HasTooLargeNumber(const std::string& json) {
  bool has = false;
  const auto look = [&has](int, nlohmann::json::parse_event_t,
                           const nlohmann::json& parsed) {
    has |= parsed.is_number() && std::abs(parsed.get<double>()) >= kTooLarge;
    return true;
  };
  (void)nlohmann::json::parse(json, look);
  return has;
}

// Digits alone: SimpleAtoi takes blanks and signs, too.
bool ParseNumber(const std::string& text, std::int64_t* number) {
  for (const char c : text) {
    if (!absl::ascii_isdigit(c)) return false;
  }
  return absl::SimpleAtoi(text, number) && *number > 0;
}

}  // namespace

absl::StatusOr<std::int64_t> ParseUserId(const std::string& text) {
  std::int64_t id;
  if (ParseNumber(text, &id) && id <= base::kMaxUserId) return id;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no user id, a whole number from 1 to ",
                   base::kMaxUserId));
}

absl::StatusOr<std::int64_t> ParseRevision(const std::string& text) {
  std::int64_t revision;
  if (ParseNumber(text, &revision)) return revision;
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", text, "\" is no revision, a whole number of at least 1"));
}

absl::StatusOr<google::protobuf::Timestamp> ParseTime(const std::string& text) {
  // As JSON, for TimeUtil ends the program at a time out of its range.
  google::protobuf::Timestamp time;
  const std::string json = absl::StrCat(
      "\"", text, text.size() == kDateLength ? "T00:00:00Z" : "", "\"");
  if (google::protobuf::util::JsonStringToMessage(json, &time).ok() &&
      time.seconds() >= base::kMinTimestampSeconds &&
      time.seconds() <= base::kMaxTimestampSeconds) {
    return time;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text,
                   "\" is no time such as 2026-11-22T15:00:00Z, and no date "
                   "such as 2026-11-22"));
}

absl::StatusOr<std::pair<std::string, std::string>> ParsePair(
    const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos && equals > 0 && equals + 1 < text.size()) {
    return std::pair(text.substr(0, equals), text.substr(equals + 1));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is not NAME=VALUE"));
}

absl::StatusOr<google::protobuf::Value> ParseValue(const std::string& text) {
  google::protobuf::Value value;
  if (!nlohmann::json::accept(text)) {
    value.set_string_value(text);
    return value;
  }
  if (!google::protobuf::util::JsonStringToMessage(text, &value).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is JSON that is not understood"));
  }
  if (HasTooLargeNumber(text)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text,
        "\" has a number of 2^53 or more, which would be rounded; in quotes it "
        "is text, and is kept"));
  }
  return value;
}

}  // namespace userprofile::command
