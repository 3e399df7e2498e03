#include "server/store/session_executor.h"

#include "server/base/status_macros.h"

namespace userprofile::store {

absl::Status SessionExecutor::Connect() {
  if (session_ != nullptr && session_->healthy() && !replace_) {
    return absl::OkStatus();
  }
  session_.reset();
  USERPROFILE_ASSIGN_OR_RETURN(auto session, connect_());
  // A plan that was made while the table was small must not scan it once it
  // has grown; every statement here has an index to use.
  USERPROFILE_RETURN_IF_ERROR(
      session->ExecuteScript("SET enable_seqscan = off").status());
  session_ = std::move(session);
  replace_ = false;
  return absl::OkStatus();
}

absl::StatusOr<postgres::Rows> SessionExecutor::Query(
    const postgres::Statement& statement,
    const postgres::Parameters& parameters) {
  absl::StatusOr<postgres::Rows> rows =
      session_->Execute(statement, parameters);
  if (absl::IsFailedPrecondition(rows.status())) replace_ = true;
  return rows;
}

}  // namespace userprofile::store
