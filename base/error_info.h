#ifndef USERPROFILE_BASE_ERROR_INFO_H_
#define USERPROFILE_BASE_ERROR_INFO_H_

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::base {

// The domain of every reason of this project (google.rpc.ErrorInfo.domain).
inline constexpr char kErrorDomain[] = "userprofile";

// The errors of this project are absl::Status values that carry the messages of
// google/rpc/error_details.proto as payloads, under their type URLs, and so
// pass every layer unchanged until the service layer puts them on the wire.

// An error with its google.rpc.ErrorInfo. `message` is read by callers: a
// sentence that says what to do, without personal data or a driver's text. Only
// errors that never leave a program may have a reason that is none of the
// API's.
using ErrorMetadata =
    std::initializer_list<std::pair<absl::string_view, absl::string_view>>;
absl::Status MakeError(absl::StatusCode code, absl::string_view message,
                       v1::ErrorReason reason, ErrorMetadata metadata = {});
absl::Status MakeError(absl::StatusCode code, absl::string_view message,
                       absl::string_view reason, ErrorMetadata metadata = {});

// As google.rpc.ErrorInfo has it, such as "USER_NOT_FOUND".
absl::string_view ReasonName(v1::ErrorReason reason);

// Adds google.rpc.RetryInfo: the call may be tried again after `delay`.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);

// Adds google.rpc.BadRequest.
absl::Status WithBadRequest(absl::Status status,
                            const google::rpc::BadRequest& bad_request);

// The google.rpc.BadRequest of an error; an empty one if it has none.
google::rpc::BadRequest BadRequestOf(const absl::Status& status);

// The same error, with `prefix` before its message.
absl::Status Annotate(const absl::Status& status, absl::string_view prefix);

// The reason that MakeError gave the status; empty if it has none.
std::string ErrorReason(const absl::Status& status);

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_ERROR_INFO_H_
