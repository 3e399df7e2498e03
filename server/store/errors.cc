#include "server/store/errors.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/error_info.h"
#include "base/limits.h"
#include "ops/readiness.h"
#include "server/users/token_key.h"

namespace userprofile::store {

using absl::StatusCode;
using base::MakeError;

// Long enough for a queue to empty, short enough for a person not to notice.
constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);

absl::Status UserNotFound(std::int64_t user_id) {
  return MakeError(
      StatusCode::kNotFound, absl::StrCat("user ", user_id, " is not known"),
      v1::ERROR_REASON_USER_NOT_FOUND, {{"user_id", absl::StrCat(user_id)}});
}

absl::Status NobodyFound(const std::string& column) {
  return MakeError(StatusCode::kNotFound,
                   absl::StrCat("nobody has this ", column),
                   v1::ERROR_REASON_USER_NOT_FOUND, {{"field", column}});
}

absl::Status AlreadyOnboarded(std::int64_t user_id) {
  return MakeError(
      StatusCode::kFailedPrecondition,
      absl::StrCat("user ", user_id,
                   " completed onboarding before, with different answers"),
      v1::ERROR_REASON_ALREADY_ONBOARDED, {{"user_id", absl::StrCat(user_id)}});
}

absl::Status NicknameTaken(absl::string_view field) {
  return MakeError(StatusCode::kAlreadyExists,
                   "another user has this nickname; ask for a different one",
                   v1::ERROR_REASON_NICKNAME_TAKEN, {{"field", field}});
}

absl::Status RevisionMismatch(std::int64_t user_id, std::int64_t stored) {
  return MakeError(
      StatusCode::kAborted,
      absl::StrCat("user ", user_id, " has revision ", stored,
                   ", not the one that was expected; read the profile again"),
      v1::ERROR_REASON_REVISION_MISMATCH,
      {{"user_id", absl::StrCat(user_id)}, {"revision", absl::StrCat(stored)}});
}

absl::Status AttributesTooLarge(std::int64_t user_id) {
  return MakeError(
      StatusCode::kFailedPrecondition,
      absl::StrCat("user ", user_id, " would have more than ",
                   base::kMaxAttributes, " attributes, or more than ",
                   base::kMaxAttributesBytes / 1024, " KiB of them"),
      v1::ERROR_REASON_ATTRIBUTES_TOO_LARGE,
      {{"user_id", absl::StrCat(user_id)}});
}

// Never with the key, which may be anything.
absl::Status SessionNotFound() {
  return MakeError(StatusCode::kNotFound,
                   "there is no such session, or it has expired",
                   v1::ERROR_REASON_SESSION_NOT_FOUND);
}

absl::Status SessionMismatch(std::int64_t stored) {
  return MakeError(
      StatusCode::kAborted,
      stored == 0 ? "there is no such session, but one was expected"
                  : absl::StrCat("the session has revision ", stored,
                                 ", not what was expected; read it again"),
      v1::ERROR_REASON_REVISION_MISMATCH, {{"revision", absl::StrCat(stored)}});
}

absl::Status TokenExpired() {
  return MakeError(StatusCode::kOutOfRange,
                   "what changed since then is not kept any more; read all "
                   "users, and watch from there",
                   v1::ERROR_REASON_TOKEN_EXPIRED);
}

absl::Status ContactsNotRecorded() {
  return MakeError(StatusCode::kFailedPrecondition,
                   "contacts that change nothing are not recorded; start the "
                   "servers with --record-contacts",
                   v1::ERROR_REASON_CONTACTS_NOT_RECORDED);
}

absl::Status DeadlineExceeded() {
  return MakeError(StatusCode::kDeadlineExceeded,
                   "the deadline passed before the request was carried out",
                   v1::ERROR_REASON_DEADLINE_EXCEEDED);
}

absl::Status Cancelled() {
  return MakeError(StatusCode::kCancelled,
                   "the caller cancelled the request before it was carried out",
                   v1::ERROR_REASON_CANCELLED);
}

absl::Status Overloaded() {
  return base::WithRetryDelay(
      MakeError(StatusCode::kResourceExhausted,
                "too many requests are in flight; try again a little later",
                v1::ERROR_REASON_OVERLOADED),
      kRetryDelay);
}

absl::Status ShuttingDown() {
  return base::WithRetryDelay(
      MakeError(StatusCode::kUnavailable,
                "this server is shutting down; try again, another one answers",
                v1::ERROR_REASON_SHUTTING_DOWN),
      kRetryDelay);
}

absl::Status DatabaseAway(const absl::Status& failure) {
  return base::WithRetryDelay(ops::DatabaseState(failure), kRetryDelay);
}

absl::Status RowRejected() {
  return MakeError(StatusCode::kInternal,
                   "the database refuses this user's row, perhaps by a "
                   "constraint that is not the service's; its log says which",
                   v1::ERROR_REASON_ROW_REJECTED);
}

absl::Status SchemaChanged() {
  return base::WithRetryDelay(
      MakeError(StatusCode::kUnavailable,
                "the schema was changed while the request ran; try again",
                v1::ERROR_REASON_SCHEMA_NOT_READY),
      kRetryDelay);
}

absl::Status StatementRefused() {
  return MakeError(StatusCode::kInternal,
                   "PostgreSQL refuses what the service does with users, as it "
                   "does with a view, a foreign table, or rules; its log says "
                   "what",
                   v1::ERROR_REASON_STATEMENT_REFUSED);
}

absl::Status DeleteNotGranted() {
  return MakeError(StatusCode::kInternal,
                   "the server's role may not DELETE from users; grant it, as "
                   "deploy/postgres/roles.sql does",
                   v1::ERROR_REASON_STATEMENT_REFUSED);
}

absl::Status TokensUnavailable() {
  return MakeError(
      StatusCode::kUnavailable,
      absl::StrCat("the server can't read the table ", users::kTokenKeyTable,
                   "; run 'userprofile-server schema repair'"),
      v1::ERROR_REASON_TOKENS_UNAVAILABLE);
}

absl::Status SessionsUnavailable() {
  return base::WithRetryDelay(
      MakeError(StatusCode::kUnavailable,
                "the table of sessions is not as it should be: "
                "'userprofile-server schema check' says how, and 'schema "
                "repair' may mend it",
                v1::ERROR_REASON_SCHEMA_NOT_READY),
      kRetryDelay);
}

absl::Status Internal() {
  return MakeError(StatusCode::kInternal,
                   "a defect of the service; its log says more",
                   v1::ERROR_REASON_INTERNAL);
}

}  // namespace userprofile::store
