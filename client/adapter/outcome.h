#ifndef USERPROFILE_CLIENT_ADAPTER_OUTCOME_H_
#define USERPROFILE_CLIENT_ADAPTER_OUTCOME_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "userprofile/client/recognition.h"

namespace userprofile::adapter {

// What became of one update: a line of the adapter's output.
struct Outcome {
  std::int64_t line = 0;                   // of the input, from 1
  absl::optional<std::int64_t> update_id;  // if it could be read
  absl::optional<std::int64_t> user_id;    // if the update is a user's contact

  // "new", "returning", "onboarded", "ignored" or "error".
  std::string recognized = "ignored";

  // Of an error: the name of a gRPC status code, or INVALID_JSON,
  // INVALID_UPDATE or LINE_TOO_LONG for a line that is no update; the service's
  // reason, if it gave one; and a sentence without personal data.
  std::string code;
  std::string reason;
  std::string message;

  // Whether the same update may well succeed later.
  bool is_passing_error = false;

  bool is_error() const { return recognized == "error"; }

  void SetError(absl::string_view code, absl::string_view message);

  // Takes over the service's answer.
  void Set(const absl::StatusOr<client::Recognition>& recognition);
};

// The outcome as one line of JSON, without its end.
std::string ToJson(const Outcome& outcome);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_OUTCOME_H_
