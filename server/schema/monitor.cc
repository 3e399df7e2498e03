#include "server/schema/monitor.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "server/schema/inspector.h"

namespace userprofile::schema {
namespace {

absl::Status Unreachable() {
  return base::MakeError(absl::StatusCode::kUnavailable,
                         "the database can't be reached; try again",
                         kDatabaseUnavailable);
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
      thread_([this] { Run(); }) {}

Monitor::~Monitor() { Stop(); }

absl::Status Monitor::CheckNow() {
  const absl::Time give_up = absl::Now() + options_.check_timeout;
  base::MutexLock lock(mutex_);
  // One that is under way may have looked before what the caller saw happened.
  const std::int64_t awaited = begun_ + 1;
  check_wanted_ = true;
  changed_.SignalAll();
  while (finished_ < awaited) {
    const absl::Duration left = give_up - absl::Now();
    if (stopping_ || left <= absl::ZeroDuration()) return Unreachable();
    changed_.WaitFor(mutex_, left);
  }
  return outcome_;
}

void Monitor::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Monitor::Run() {
  while (true) {
    {
      base::MutexLock lock(mutex_);
      if (stopping_) return;
      check_wanted_ = false;
      ++begun_;
    }
    absl::Status outcome = Publish(InspectOnce());
    const absl::Time next = absl::Now() + options_.interval;
    base::MutexLock lock(mutex_);
    ++finished_;
    outcome_ = std::move(outcome);
    changed_.SignalAll();
    while (!stopping_ && !check_wanted_ && absl::Now() < next) {
      changed_.WaitFor(mutex_, next - absl::Now());
    }
  }
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

absl::Status Monitor::Publish(const absl::StatusOr<Report>& report) {
  return report.ok() ? PublishReport(*report) : PublishFailure(report.status());
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

absl::Status Monitor::PublishFailure(const absl::Status& failure) {
  const absl::Time now = absl::Now();
  if (!failing_since_.has_value()) failing_since_ = now;
  const bool waited = now - *failing_since_ >= options_.unreachable_grace;
  absl::Status state = Unreachable();
  if (!answered_ || waited) {
    readiness_->Set(state);
    // Once per outage, whatever words the failures come in.
    constexpr char kSummary[] = "the database can't be inspected";
    if (logged_ != kSummary) {
      spdlog::error("{}: {}", kSummary, std::string(failure.message()));
      logged_ = kSummary;
    }
  }
  return state;
}

}  // namespace userprofile::schema
