#ifndef USERPROFILE_CLIENT_ADAPTER_UPDATE_H_
#define USERPROFILE_CLIENT_ADAPTER_UPDATE_H_

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "client/adapter/input.h"
#include "userprofile/client/recognition.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::adapter {

// Who an update is from: one of client::Recognition, or another.
enum class Recognized { kNew, kReturning, kOnboarded, kIgnored, kError };
inline constexpr const char* kRecognizedNames[] = {
    "new", "returning", "onboarded", "ignored", "error"};

const char* NameOf(Recognized recognized);

// What the bot is told: the same, but of an error "unknown".
const char* NameForBot(Recognized recognized);

// What became of one update: a line of the adapter's output.
struct Outcome {
  std::int64_t line = 0;                   // of the input, from 1
  absl::optional<std::int64_t> update_id;  // if it could be read
  absl::optional<std::int64_t> user_id;    // if the update is a user's contact
  Recognized recognized = Recognized::kIgnored;

  // Of an error: the name of a gRPC status code, or INVALID_JSON,
  // INVALID_UPDATE or LINE_TOO_LONG for a line that is no update; the service's
  // reason, if it gave one; and a sentence without personal data.
  std::string code;
  std::string reason;
  std::string message;

  // Whether the same update may well succeed later.
  bool is_passing_error = false;

  bool is_error() const { return recognized == Recognized::kError; }

  void SetError(absl::string_view code, absl::string_view message);

  // Takes over the service's answer.
  void Set(const absl::StatusOr<client::Recognition>& recognition);
};

// The outcome as one line of JSON, without its end.
std::string ToJson(const Outcome& outcome);

// What an update, or a line of the input, asks for.
struct Update {
  // Final unless there is a contact.
  Outcome outcome;

  // What to tell the service.
  absl::optional<v1::UpsertUserRequest> contact;

  // What to pass on to a bot: valid JSON. Not kept of a line.
  std::string text;
};

// Reads a line. Accepts any bytes; those that are not an update make an error.
Update ReadUpdateLine(Line line);

// Reads an update that is no line of an input, from its text or once it is
// parsed; `bot` as for telegram::ContactOf().
Update ReadUpdate(std::string text, absl::string_view bot);
Update ReadUpdate(const nlohmann::json& update, absl::string_view bot);

// Parses JSON of whatever origin; discarded() if it is none. A stranger's name
// or message must not keep an answer with many other updates from being read,
// so bytes that are not UTF-8, and halves of surrogate pairs, become U+FFFD, in
// `text`, too, which is JSON for everybody then. Leaves out what is nested
// deeper than anything of Telegram's: many functions of the library, and of
// those to whom the value is passed on, need stack for each level.
nlohmann::json ParseJson(std::string& text);

// JSON as text, whatever is in it.
std::string ToText(const nlohmann::json& value);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_UPDATE_H_
