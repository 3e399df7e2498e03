#include "server/postgres/write_probe.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "spdlog/spdlog.h"

namespace userprofile::postgres {
namespace {

using base::SteadyTime;

// A read-only transaction may commit what ConfirmPrimary does.
constexpr Statement kWriteProbe = {
    "write_probe",
    "SELECT pg_catalog.current_setting('transaction_read_only'), pid,"
    " backend_start FROM pg_catalog.pg_stat_activity"
    " WHERE pid = pg_catalog.pg_backend_pid()"};

constexpr Statement kWriteProbeUnanswered = {
    "write_probe_unanswered",
    "SELECT coalesce(wait_event, 'nothing') FROM pg_catalog.pg_stat_activity"
    " WHERE pid = $1::integer AND backend_start = $2::timestamptz"
    " AND state = 'active'"};

constexpr char kWaitsForStandby[] = "SyncRep";

absl::Status Starting() { return ops::StateOf(v1::ERROR_REASON_STARTING); }

absl::Status TellStarting(ops::Readiness& readiness) {
  readiness.SetWrites(Starting());
  return Starting();
}

}  // namespace

WriteProbe::WriteProbe(SessionFactory connect, ops::Readiness* readiness,
                       WriteProbeOptions options)
    : connect_(std::move(connect)),
      readiness_(readiness),
      options_(options),
      told_(TellStarting(*readiness)),
      thread_([this] { return Run(); }) {}

absl::Duration WriteProbe::Run() {
  const SteadyTime begun = SteadyTime::Now();
  const absl::Status status = Commit();
  if (status.ok()) {
    failing_since_.reset();
    Tell(status, status);
    return options_.interval;
  }
  if (!failing_since_.has_value()) failing_since_ = begun;
  const bool waited = SteadyTime::Now() - *failing_since_ >= options_.grace;
  if (waited || told_ == Starting()) Tell(ops::DatabaseState(status), status);
  return options_.interval_while_failing;
}

absl::Status WriteProbe::Commit() {
  if (session_ == nullptr || !session_->healthy()) {
    session_ = nullptr;
    USERPROFILE_ASSIGN_OR_RETURN(session_, connect_());
  }
  if (unanswered_.has_value()) {
    USERPROFILE_RETURN_IF_ERROR(LookAfter(*unanswered_));
    unanswered_.reset();
  }
  USERPROFILE_ASSIGN_OR_RETURN(const Rows rows,
                               session_->Execute(kWriteProbe, {}));
  if (rows.Text(0, 0) == "on") {
    return base::MakeError(absl::StatusCode::kUnavailable,
                           "transaction_read_only is on",
                           v1::ERROR_REASON_DATABASE_READ_ONLY);
  }
  const Backend backend = {std::string(rows.Text(0, 1)),
                           std::string(rows.Text(0, 2))};
  absl::Status status = ConfirmPrimary(*session_);
  if (!status.ok() && session_->lost()) unanswered_ = backend;
  return status;
}

absl::Status WriteProbe::LookAfter(const Backend& backend) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const Rows rows,
      session_->Execute(kWriteProbeUnanswered, {backend.pid, backend.start}));
  if (rows.empty()) return absl::OkStatus();
  const std::string message = absl::StrCat("a commit of backend ", backend.pid,
                                           " waits for ", rows.Text(0, 0));
  return rows.Text(0, 0) == kWaitsForStandby
             ? base::MakeError(absl::StatusCode::kUnavailable, message,
                               v1::ERROR_REASON_REPLICATION_STALLED)
             : absl::UnavailableError(message);
}

void WriteProbe::Tell(absl::Status state, const absl::Status& failure) {
  if (state == told_) return;
  if (!state.ok()) {
    spdlog::error("writes do not go through: {} ({})",
                  std::string(state.message()), std::string(failure.message()));
  } else if (told_ != Starting()) {
    spdlog::info("writes go through again");
  }
  readiness_->SetWrites(state);
  told_ = std::move(state);
}

}  // namespace userprofile::postgres
