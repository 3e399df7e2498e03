#include "server/store/session_executor.h"

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/postgres/errors.h"
#include "server/store/profile_rows.h"

namespace userprofile::store {

bool SqlOperation::Wrote(const google::protobuf::Timestamp& time) const {
  return absl::c_any_of(tries, [&](absl::Time tried) {
    return absl::ToUnixMicros(tried) == absl::ToUnixMicros(FromTimestamp(time));
  });
}

postgres::Parameters FinishArrays(std::vector<postgres::ArrayLiteral>& arrays) {
  postgres::Parameters parameters;
  for (auto& array : arrays) parameters.push_back(array.Finish());
  return parameters;
}

absl::Status SessionExecutor::Connect() {
  if (session_ != nullptr && session_->healthy() && !replace_) {
    return absl::OkStatus();
  }
  session_.reset();
  USERPROFILE_ASSIGN_OR_RETURN(auto session, connect_());
  // One plan for each statement, for planning is half of the CPU time of a lone
  // read; and that by an index, for a scan that was right for a small table
  // would stay as it grows. See docs/adr/0036-one-plan-for-each-statement.md.
  USERPROFILE_RETURN_IF_ERROR(
      session
          ->ExecuteScript(
              absl::StrCat("SET enable_seqscan = off;"
                           " SET plan_cache_mode = force_generic_plan",
                           settings_))
          .status());
  session_ = std::move(session);
  replace_ = false;
  return absl::OkStatus();
}

absl::Status SessionExecutor::Execute(Batch batch) {
  const absl::Time now = clock_();
  ran_ = false;
  absl::Status status = run_(*this, batch, now);
  if (postgres::MayHaveTakenEffect(status) || (ran_ && !status.ok())) {
    for (Operation* operation : batch) {
      static_cast<SqlOperation*>(operation)->tries.push_back(now);
    }
  }
  return status;
}

absl::StatusOr<postgres::Rows> SessionExecutor::Query(
    const postgres::Statement& statement,
    const postgres::Parameters& parameters) {
  auto rows = session_->Execute(statement, parameters);
  if (absl::IsFailedPrecondition(rows.status())) replace_ = true;
  if (rows.ok()) ran_ = true;
  return rows;
}

absl::Status SessionExecutor::ProveAbsence() {
  return postgres::ConfirmPrimary(*session_);
}

}  // namespace userprofile::store
