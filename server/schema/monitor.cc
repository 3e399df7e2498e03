#include "server/schema/monitor.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "server/schema/inspector.h"
#include "server/schema/write_trial.h"

namespace userprofile::schema {
namespace {

using base::SteadyTime;

constexpr absl::Duration kPauseAfterFailure = absl::Milliseconds(500);

// What an inspection that failed says of the database.
absl::Status StateOf(const absl::Status& failure) {
  if (absl::IsUnavailable(failure)) return ops::DatabaseState(failure);
  if (absl::IsAborted(failure)) {
    return base::MakeError(absl::StatusCode::kUnavailable,
                           "the database does not say in time what its schema "
                           "is, for others hold the table users; try again",
                           v1::ERROR_REASON_DATABASE_UNAVAILABLE);
  }
  // Not by itself over soon, as those are.
  const std::string state = postgres::SqlState(failure);
  return base::MakeError(
      absl::StatusCode::kUnavailable,
      absl::StrCat("the database refuses the inspection of its schema",
                   state.empty() ? "" : absl::StrCat(" (SQLSTATE ", state, ")"),
                   "; the server's log says more, and so does "
                   "'userprofile-server schema check'"),
      v1::ERROR_REASON_SCHEMA_NOT_READY);
}

// Every breach, for the log.
std::string Summary(const Report& report) {
  std::string text;
  for (const Breach& breach : report.breaches) {
    absl::StrAppend(
        &text, text.empty() ? "" : "; ", Describe(breach),
        breach.severity == Severity::kAdvisory ? " (advisory)" : "");
  }
  if (!report.unknown_migrations.empty()) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", "a newer program applied ",
                    absl::StrJoin(report.unknown_migrations, ", "));
  }
  return text;
}

}  // namespace

Monitor::Monitor(postgres::SessionFactory connect, ops::Readiness* readiness,
                 MonitorOptions options)
    : connect_(std::move(connect)),
      readiness_(readiness),
      options_(std::move(options)),
      thread_([this] { return Run(); }) {}

absl::Status Monitor::CheckNow() {
  const SteadyTime give_up = SteadyTime::Now() + options_.check_timeout;
  base::MutexLock lock(mutex_);
  // One that is under way may have looked before what the caller saw happened.
  const std::int64_t awaited = begun_ + 1;
  thread_.Wake();
  while (finished_ < awaited) {
    if (thread_.stopping() || SteadyTime::Now() >= give_up) {
      return ops::StateOf(v1::ERROR_REASON_DATABASE_UNAVAILABLE);
    }
    changed_.WaitUntil(mutex_, give_up);
  }
  return outcome_;
}

void Monitor::Stop() {
  thread_.AskToStop();
  {
    base::MutexLock lock(mutex_);
    changed_.SignalAll();
  }
  thread_.Stop();
}

absl::Duration Monitor::Run() {
  {
    base::MutexLock lock(mutex_);
    ++begun_;
  }
  const SteadyTime begun = options_.clock();
  const absl::StatusOr<Report> report = InspectOnce();
  absl::Status outcome = report.ok() ? PublishReport(*report)
                                     : PublishFailure(report.status(), begun);
  {
    base::MutexLock lock(mutex_);
    ++finished_;
    outcome_ = std::move(outcome);
    changed_.SignalAll();
  }
  // Nobody waits for that.
  if (report.ok() && report->ToStatus().ok() && !std::exchange(tried_, true)) {
    if (const auto breach = TryToWrite(*session_, *report)) {
      spdlog::warn("{}; {}", Describe(*breach), breach->remedy);
    }
  }
  return report.ok() ? options_.interval
                     : std::min(options_.interval, kPauseAfterFailure);
}

absl::StatusOr<Report> Monitor::InspectOnce() {
  if (session_ != nullptr && session_->healthy()) {
    absl::StatusOr<Report> report = Inspect(*session_);
    if (report.ok()) return report;
    // Perhaps the server just came back: a fresh session will tell.
    session_ = nullptr;
  }
  USERPROFILE_ASSIGN_OR_RETURN(session_, connect_());
  return Inspect(*session_);
}

absl::Status Monitor::PublishReport(const Report& report) {
  answered_ = true;
  failing_since_.reset();
  if (options_.on_report) options_.on_report(report);
  absl::Status state = report.ToStatus();
  readiness_->Set(state);
  // A search path or a role that is mended holds for new sessions only.
  if (!state.ok()) session_ = nullptr;

  const std::string details = Summary(report);
  const std::string summary = absl::StrCat(
      state.ok() ? "the schema is ready" : "the schema is not ready",
      details.empty() ? "" : ": ", details);
  if (summary != logged_) {
    if (details.empty()) {
      spdlog::info(summary);
    } else if (state.ok()) {
      spdlog::warn(summary);
    } else {
      spdlog::error("{}; run 'userprofile-server {}'", summary,
                    report.NextCommand());
    }
    logged_ = summary;
  }
  return state;
}

absl::Status Monitor::PublishFailure(const absl::Status& failure,
                                     SteadyTime begun) {
  if (!failing_since_.has_value()) failing_since_ = begun;
  const bool waited =
      options_.clock() - *failing_since_ >= options_.unreachable_grace;
  absl::Status state = StateOf(failure);
  if (!answered_ || waited) {
    readiness_->Set(state);
    // Once for each state, whatever words the failures come in.
    const std::string summary = absl::StrCat("the schema can't be inspected: ",
                                             std::string(state.message()));
    if (logged_ != summary) {
      spdlog::error("{}: {}", summary, std::string(failure.message()));
      logged_ = summary;
    }
  }
  return state;
}

}  // namespace userprofile::schema
