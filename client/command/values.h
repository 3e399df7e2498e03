#ifndef USERPROFILE_CLIENT_COMMAND_VALUES_H_
#define USERPROFILE_CLIENT_COMMAND_VALUES_H_

#include <cstdint>
#include <string>
#include <utility>

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "absl/status/statusor.h"

namespace userprofile::command {

// What people write on a command line. Each is INVALID_ARGUMENT, with a
// sentence, for what is not exactly that.

// A Telegram user id: digits, and nothing else.
absl::StatusOr<std::int64_t> ParseUserId(const std::string& text);

// A revision, 1 or more.
absl::StatusOr<std::int64_t> ParseRevision(const std::string& text);

// A time as RFC 3339 has it, "2026-11-22T15:00:00Z" or "...+03:30"; or a date,
// "2026-11-22", for its begin in UTC.
absl::StatusOr<google::protobuf::Timestamp> ParseTime(const std::string& text);

// "NAME=VALUE"; neither is empty.
absl::StatusOr<std::pair<std::string, std::string>> ParsePair(
    const std::string& text);

// An attribute's value: JSON, such as 3, true, null, "3" or ["a"]; what is no
// JSON, such as Shiraz, is text. Never fails but for JSON that is nested too
// deep, or has a number of 2^53 or more, which an attribute can't keep as it
// is.
absl::StatusOr<google::protobuf::Value> ParseValue(const std::string& text);

}  // namespace userprofile::command

#endif  // USERPROFILE_CLIENT_COMMAND_VALUES_H_
