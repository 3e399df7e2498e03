#include "server/schema/ddl.h"

#include <algorithm>
#include <memory>
#include <thread>

#include <spdlog/spdlog.h>

#include "absl/cleanup/cleanup.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "server/postgres/errors.h"

namespace userprofile::schema {
namespace {

// How soon give_up is heard while pausing.
constexpr absl::Duration kGiveUpPoll = absl::Milliseconds(100);

constexpr absl::Duration kProgressInterval = absl::Seconds(2);

// The key is "userprof" in ASCII. Polled, for a session that waits within
// pg_advisory_lock deadlocks with CREATE INDEX CONCURRENTLY.
constexpr postgres::Statement kTryMigratorLock = {
    "try_migrator_lock", "SELECT pg_try_advisory_lock(8463219666946518886)"};

constexpr postgres::Statement kIndexProgress = {
    "index_progress",
    "SELECT phase,"
    " CASE WHEN blocks_total > 0 THEN 100 * blocks_done / blocks_total"
    "  WHEN tuples_total > 0 THEN 100 * tuples_done / tuples_total"
    "  ELSE 0 END"
    " FROM pg_stat_progress_create_index WHERE pid = $1::integer"};

absl::Status GaveUp() {
  return absl::CancelledError("gave up waiting; nothing is half done");
}

bool MayRetry(const absl::Status& status) {
  const std::string state = postgres::SqlState(status);
  return state == "55P03" || state == "40P01" || state == "40001";
}

// Logs how far the build of an index in another session is. Nothing that goes
// wrong here matters.
class ProgressLog {
 public:
  ProgressLog(const postgres::SessionFactory& connect, std::string backend,
              absl::string_view label)
      : backend_(std::move(backend)),
        label_(label),
        thread_([this, connect] { Run(connect); }) {}

  ~ProgressLog() {
    {
      base::MutexLock lock(mutex_);
      done_ = true;
      changed_.SignalAll();
    }
    thread_.join();
  }

 private:
  bool Pause() {
    const absl::Time end = absl::Now() + kProgressInterval;
    base::MutexLock lock(mutex_);
    while (!done_ && absl::Now() < end) {
      changed_.WaitFor(mutex_, end - absl::Now());
    }
    return !done_;
  }

  void Run(const postgres::SessionFactory& connect) {
    std::unique_ptr<postgres::Session> session;
    while (Pause()) {
      if (session == nullptr || !session->healthy()) {
        auto fresh = connect();
        if (!fresh.ok()) continue;
        session = *std::move(fresh);
      }
      const auto rows = session->Execute(kIndexProgress, {backend_});
      if (!rows.ok() || rows->empty()) continue;
      spdlog::info("{}: {}, {} %", label_, std::string(rows->Text(0, 0)),
                   rows->Int64(0, 1));
    }
  }

  const std::string backend_;
  const std::string label_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when all else is made
};

}  // namespace

absl::Status LockSchema(postgres::Session& session, const DdlOptions& options) {
  const absl::Time deadline = absl::Now() + options.migrator_wait;
  bool logged = false;
  while (true) {
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                                 session.Execute(kTryMigratorLock, {}));
    if (rows.Bool(0, 0)) return absl::OkStatus();
    if (absl::Now() >= deadline) {
      return base::MakeError(
          absl::StatusCode::kDeadlineExceeded,
          absl::StrCat("another migrator is still at work after ",
                       absl::FormatDuration(options.migrator_wait),
                       "; try again later"),
          kMigratorBusy);
    }
    if (options.give_up()) return GaveUp();
    if (!logged) {
      spdlog::info("waiting for another migrator to finish");
      logged = true;
    }
    absl::SleepFor(options.migrator_poll);
  }
}

absl::Status InDdlTransaction(postgres::Session& session,
                              const DdlOptions& options,
                              absl::string_view label,
                              absl::FunctionRef<absl::Status()> body) {
  const std::string settings = absl::StrFormat(
      "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = %d",
      absl::ToInt64Milliseconds(options.lock_timeout));
  absl::BitGen random;
  absl::Duration pause = options.attempt_pause;
  for (int attempt = 1;; ++attempt) {
    absl::Status status = postgres::InTransaction(session, [&] {
      const absl::Status set = session.ExecuteScript(settings).status();
      return set.ok() ? body() : set;
    });
    if (!MayRetry(status) || attempt >= options.attempts) return status;
    spdlog::info("{} waits for a lock (attempt {} of {})", std::string(label),
                 attempt, options.attempts);
    // Counted down, for the clock may be set back.
    for (absl::Duration rest = pause * absl::Uniform(random, 0.5, 1.5);
         rest > absl::ZeroDuration(); rest -= kGiveUpPoll) {
      if (options.give_up()) return GaveUp();
      absl::SleepFor(std::min(rest, kGiveUpPoll));
    }
    pause = std::min(pause * 2, options.longest_pause);
  }
}

absl::Status RunConcurrently(postgres::Session& session,
                             const postgres::SessionFactory& connect,
                             const std::string& sql, absl::string_view label) {
  // Its locks hold up nobody, and its waiting is what makes it safe.
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows before,
      session.ExecuteScript(
          "SELECT current_setting('statement_timeout'),"
          " current_setting('lock_timeout'), pg_backend_pid(),"
          " set_config('statement_timeout', '0', false),"
          " set_config('lock_timeout', '0', false)"));
  const absl::Cleanup restore = [&] {
    session
        .ExecuteScript(
            absl::StrCat("SET statement_timeout = '", before.Text(0, 0),
                         "'; SET lock_timeout = '", before.Text(0, 1), "'"))
        .status()
        .IgnoreError();
  };
  const ProgressLog progress(connect, std::string(before.Text(0, 2)), label);
  return session.ExecuteScript(sql).status();
}

}  // namespace userprofile::schema
