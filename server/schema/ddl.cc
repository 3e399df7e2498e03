#include "server/schema/ddl.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <thread>

#include <spdlog/spdlog.h>

#include "absl/algorithm/container.h"
#include "absl/cleanup/cleanup.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"

namespace userprofile::schema {
namespace {

using base::SteadyTime;

// How soon give_up is heard while pausing.
constexpr absl::Duration kGiveUpPoll = absl::Milliseconds(100);

constexpr absl::Duration kProgressInterval = absl::Seconds(2);
constexpr absl::Duration kLongestRest = absl::Seconds(1);

// The key is "userprof" in ASCII. Polled, for a session that waits within
// pg_advisory_lock deadlocks with CREATE INDEX CONCURRENTLY.
constexpr postgres::Statement kTryMigratorLock = {
    "try_migrator_lock", "SELECT pg_try_advisory_lock(8463219666946518886)"};

constexpr postgres::Statement kNextBatch = {
    "next_batch",
    "SELECT max(user_id), count(*) FROM (SELECT user_id FROM :users"
    " WHERE user_id > $1::bigint ORDER BY user_id LIMIT $2::integer) AS batch"};

// As the last ANALYZE found them; -1 or 0 if there was none.
constexpr postgres::Statement kEstimateUsers = {
    "estimate_users",
    "SELECT reltuples::bigint FROM pg_class WHERE oid = :'users'::regclass"};

constexpr postgres::Statement kIndexProgress = {
    "index_progress",
    "SELECT phase,"
    " CASE WHEN blocks_total > 0 THEN 100 * blocks_done / blocks_total"
    "  WHEN tuples_total > 0 THEN 100 * tuples_done / tuples_total"
    "  ELSE 0 END"
    " FROM pg_stat_progress_create_index WHERE pid = $1::integer"};

constexpr postgres::Statement kCancel = {
    "cancel_concurrently", "SELECT pg_cancel_backend($1::integer)"};

absl::Status GaveUp(absl::string_view left = "nothing is half done") {
  return absl::CancelledError(absl::StrCat("gave up waiting; ", left));
}

// False as soon as the options ask to give up.
bool Pause(const DdlOptions& options, absl::Duration pause) {
  const SteadyTime end = SteadyTime::Now() + pause;
  while (!options.give_up()) {
    const absl::Duration rest = end - SteadyTime::Now();
    if (rest <= absl::ZeroDuration()) return true;
    absl::SleepFor(std::min(rest, kGiveUpPoll));
  }
  return false;
}

// Beside a statement of another session that builds or drops an index: logs how
// far it is, and cancels it as the options ask. What else goes wrong here
// doesn't matter.
class Watch {
 public:
  Watch(const postgres::SessionFactory& connect, const DdlOptions& options,
        std::string backend, absl::string_view label)
      : options_(options),
        backend_(std::move(backend)),
        label_(label),
        thread_([this, connect] { Run(connect); }) {}

  ~Watch() { End(); }

  // Whether it was cancelled.
  bool End() {
    {
      base::MutexLock lock(mutex_);
      done_ = true;
      changed_.SignalAll();
    }
    if (thread_.joinable()) thread_.join();
    return cancelled_;
  }

 private:
  // False once there is nothing left to watch.
  bool Pause() {
    const SteadyTime end = SteadyTime::Now() + kProgressInterval;
    while (SteadyTime::Now() < end && !options_.give_up()) {
      base::MutexLock lock(mutex_);
      if (done_) return false;
      changed_.WaitFor(mutex_, kGiveUpPoll);
    }
    base::MutexLock lock(mutex_);
    // Again and again: the statement may not have begun.
    if (!done_ && options_.give_up()) changed_.WaitFor(mutex_, kGiveUpPoll);
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
      if (options_.give_up()) {
        cancelled_ = session->Execute(kCancel, {backend_}).ok() || cancelled_;
        continue;
      }
      const auto rows = session->Execute(kIndexProgress, {backend_});
      if (!rows.ok() || rows->empty()) continue;
      spdlog::info("{}: {}, {} %", label_, std::string(rows->Text(0, 0)),
                   rows->Int64(0, 1));
    }
  }

  const DdlOptions& options_;
  const std::string backend_;
  const std::string label_;
  bool cancelled_ = false;  // only the thread's, while it runs
  base::Mutex mutex_;
  base::CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: starts when all else is made
};

}  // namespace

bool IsForLock(const absl::Status& status) {
  const std::string state = postgres::SqlState(status);
  return state == "55P03" || state == "40P01" || state == "40001";
}

bool IsOfTable(const absl::Status& status) {
  constexpr absl::string_view kClasses[] = {"0A", "22", "23", "2B", "42",
                                            "54", "55", "P0", "UP"};
  return !IsForLock(status) &&
         absl::c_linear_search(kClasses,
                               postgres::SqlState(status).substr(0, 2));
}

std::string ServersWords(const absl::Status& status) {
  absl::string_view text = status.message();
  if (const std::size_t at = text.find(":  "); at != absl::string_view::npos) {
    text.remove_prefix(at + 3);
  }
  return std::string(text);
}

absl::Status LockSchema(postgres::Session& session, const DdlOptions& options) {
  USERPROFILE_RETURN_IF_ERROR(
      session
          .ExecuteScript("SET tcp_keepalives_idle = 20;"
                         "SET tcp_keepalives_interval = 10;"
                         "SET tcp_keepalives_count = 3")
          .status());
  const SteadyTime deadline = SteadyTime::Now() + options.migrator_wait;
  bool logged = false;
  while (true) {
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                                 session.Execute(kTryMigratorLock, {}));
    if (rows.Bool(0, 0)) return absl::OkStatus();
    if (SteadyTime::Now() >= deadline) {
      return base::MakeError(
          absl::StatusCode::kDeadlineExceeded,
          absl::StrCat("another migrator is still at work after ",
                       absl::FormatDuration(options.migrator_wait),
                       "; try again later"),
          kMigratorBusy);
    }
    if (!logged) {
      spdlog::info("waiting for another migrator to finish");
      logged = true;
    }
    if (!Pause(options, options.migrator_poll)) return GaveUp();
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
    if (!IsForLock(status) || attempt >= options.attempts) return status;
    spdlog::info("{} waits for a lock (attempt {} of {})", std::string(label),
                 attempt, options.attempts);
    if (!Pause(options, pause * absl::Uniform(random, 0.5, 1.5))) {
      return GaveUp();
    }
    pause = std::min(pause * 2, options.longest_pause);
  }
}

absl::Status InBatches(postgres::Session& session, const DdlOptions& options,
                       const std::string& sql, absl::string_view label,
                       int batch_rows) {
  const std::string name =
      absl::StrCat("batch_", std::hash<std::string>()(sql));
  const postgres::Statement update = {name.c_str(), sql.c_str()};
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows estimate,
                               session.Execute(kEstimateUsers, {}));
  std::string after = absl::StrCat(std::numeric_limits<std::int64_t>::min());
  std::int64_t done = 0;
  SteadyTime told = SteadyTime::Now();
  while (true) {
    const SteadyTime start = SteadyTime::Now();
    postgres::Rows batch;
    USERPROFILE_RETURN_IF_ERROR(
        InDdlTransaction(session, options, label, [&]() -> absl::Status {
          USERPROFILE_ASSIGN_OR_RETURN(
              batch,
              session.Execute(kNextBatch, {after, absl::StrCat(batch_rows)}));
          if (batch.IsNull(0, 0)) return absl::OkStatus();
          return session.Execute(update, {after, std::string(batch.Text(0, 0))})
              .status();
        }));
    if (batch.IsNull(0, 0)) return absl::OkStatus();
    after = std::string(batch.Text(0, 0));
    done += batch.Int64(0, 1);

    const SteadyTime now = SteadyTime::Now();
    if (now - told >= kProgressInterval) {
      spdlog::info("{}: {} of about {} users", std::string(label), done,
                   std::max(done, estimate.Int64(0, 0)));
      told = now;
    }
    if (options.give_up()) return GaveUp("the next run does the rest");
    absl::SleepFor(std::min(now - start, kLongestRest));
  }
}

absl::Status RunConcurrently(postgres::Session& session,
                             const postgres::SessionFactory& connect,
                             const DdlOptions& options, const std::string& sql,
                             absl::string_view label) {
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
  Watch watch(connect, options, std::string(before.Text(0, 2)), label);
  const absl::Status status = session.ExecuteScript(sql).status();
  const bool cancelled = watch.End();
  return cancelled && !status.ok() ? GaveUp("the next run does the rest")
                                   : status;
}

}  // namespace userprofile::schema
