#ifndef USERPROFILE_SERVER_STORE_ERRORS_H_
#define USERPROFILE_SERVER_STORE_ERRORS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace userprofile::store {

// What a store can answer instead of a response; each function fixes code,
// text, reason and metadata. The API file says what each one means.

absl::Status UserNotFound(std::int64_t user_id);
absl::Status NobodyFound(const std::string& column);
absl::Status AlreadyOnboarded(std::int64_t user_id);
absl::Status NicknameTaken(absl::string_view field);  // of the request
absl::Status AttributesTooLarge(std::int64_t user_id);
absl::Status RevisionMismatch(std::int64_t user_id, std::int64_t stored);
absl::Status SessionNotFound();
absl::Status SessionMismatch(std::int64_t stored);  // its revision, 0 if none
absl::Status TokenExpired();
absl::Status ContactsNotRecorded();

absl::Status DeadlineExceeded();
absl::Status Cancelled();
absl::Status Overloaded();
absl::Status ShuttingDown();
absl::Status DatabaseAway(const absl::Status& failure);  // of a session
absl::Status RowRejected();
absl::Status SchemaChanged();
absl::Status StatementRefused();
absl::Status DeleteNotGranted();
absl::Status TokensUnavailable();
absl::Status SessionsUnavailable();
absl::Status Internal();

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_ERRORS_H_
