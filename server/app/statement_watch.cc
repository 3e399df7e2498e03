#include "server/app/statement_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "server/postgres/forwarding_session.h"
#include "spdlog/spdlog.h"

namespace userprofile::app {
namespace {

using base::SteadyTime;

constexpr postgres::Statement kStatementWaits = {
    "statement_waits",
    "SELECT CASE WHEN wait_event = 'SyncRep' THEN wait_event"
    " WHEN wait_event_type = 'Lock' THEN 'locks held by process '"
    " || pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(pid), ', ')"
    " ELSE '' END"
    " FROM pg_catalog.pg_stat_activity"
    " WHERE pid = $1::integer AND backend_start = $2::timestamptz"};

constexpr char kStandby[] = "SyncRep";

// One that says no is there. Connections time out after two seconds.
constexpr absl::Duration kSlowRefusal = absl::Seconds(1);

constexpr char kRunAgain[] =
    "run the command again: a migration or a repair goes on from what was done "
    "so far";

absl::Status Silent(absl::Duration silence) {
  return base::MakeError(
      absl::StatusCode::kUnavailable,
      absl::StrCat("PostgreSQL has answered nothing for ",
                   absl::FormatDuration(absl::Trunc(silence, absl::Seconds(1))),
                   ", so the command ends. Once it answers again, ", kRunAgain),
      v1::ERROR_REASON_DATABASE_UNAVAILABLE);
}

absl::Status Replaced() {
  return base::MakeError(
      absl::StatusCode::kUnavailable,
      absl::StrCat("the database that the command worked on is not the primary "
                   "any more, so the command ends: ",
                   kRunAgain),
      v1::ERROR_REASON_DEPOSED_PRIMARY);
}

absl::Status Stalled(absl::Duration waited) {
  return base::MakeError(
      absl::StatusCode::kUnavailable,
      absl::StrCat("a commit has waited for a synchronous standby for ",
                   absl::FormatDuration(absl::Trunc(waited, absl::Seconds(1))),
                   ", so the command ends. Bring the standby back, or take it "
                   "out of synchronous_standby_names; ",
                   kRunAgain),
      v1::ERROR_REASON_REPLICATION_STALLED);
}

}  // namespace

class StatementWatch::Watched final : public postgres::ForwardingSession {
 public:
  Watched(std::unique_ptr<Session> session, postgres::ServerIdentity backend,
          StatementWatch& watch)
      : ForwardingSession(std::move(session)),
        backend_(std::move(backend)),
        watch_(watch) {}

  absl::StatusOr<postgres::Rows> Execute(
      const postgres::Statement& statement,
      const postgres::Parameters& parameters) override {
    return watch_.Watch(
        backend_, [&] { return session().Execute(statement, parameters); });
  }

  absl::StatusOr<postgres::Rows> ExecuteScript(absl::string_view sql) override {
    return watch_.Watch(backend_, [&] { return session().ExecuteScript(sql); });
  }

  absl::StatusOr<std::string> FindTables() override {
    return watch_.Watch(backend_, [&] { return session().FindTables(); });
  }

 private:
  const postgres::ServerIdentity backend_;
  StatementWatch& watch_;
};

StatementWatch::StatementWatch(postgres::Database& database,
                               StatementWatchOptions options)
    : database_(database), options_(options), thread_([this] {
        Look();
        return options_.interval;
      }) {}

postgres::SessionFactory StatementWatch::Sessions() {
  return [this] { return Watch({}, [this] { return Connect(); }); };
}

absl::StatusOr<std::unique_ptr<postgres::Session>> StatementWatch::Connect() {
  USERPROFILE_ASSIGN_OR_RETURN(auto session, database_.Sessions()());
  USERPROFILE_ASSIGN_OR_RETURN(postgres::ServerIdentity backend,
                               postgres::AskIdentity(*session));
  return std::make_unique<Watched>(std::move(session), std::move(backend),
                                   *this);
}

template <typename Statement>
auto StatementWatch::Watch(const postgres::ServerIdentity& backend,
                           Statement statement) -> decltype(statement()) {
  std::int64_t number;
  {
    base::MutexLock lock(mutex_);
    // A new connection could be made before it, too, is broken.
    if (!broken_off_.ok()) return broken_off_;
    number = ++last_;
    running_[number] = {number, backend, SteadyTime::Now()};
  }
  auto outcome = statement();
  base::MutexLock lock(mutex_);
  running_.erase(number);
  if (absl::IsUnavailable(outcome.status()) && !broken_off_.ok()) {
    return broken_off_;
  }
  return outcome;
}

void StatementWatch::Look() {
  const SteadyTime begun = SteadyTime::Now();
  absl::optional<Running> oldest;
  {
    base::MutexLock lock(mutex_);
    if (!broken_off_.ok()) return;
    if (!running_.empty()) oldest = running_.begin()->second;
  }
  if (!oldest || begun - oldest->since < options_.look_after) {
    silent_since_.reset();
    stalled_since_.reset();
    told_.reset();
    return;
  }
  const absl::StatusOr<absl::optional<std::string>> waits = Ask(*oldest);
  const SteadyTime now = SteadyTime::Now();
  if (!waits.ok()) {
    session_ = nullptr;
    if (now - begun < kSlowRefusal) {
      silent_since_.reset();
      return;
    }
    if (!silent_since_) silent_since_ = begun;
    Tell("an answer of PostgreSQL", now);
    if (now - *silent_since_ >= options_.silence) {
      BreakOff(Silent(now - *silent_since_));
    }
    return;
  }
  silent_since_.reset();
  if (!*waits) {
    // Not there where sessions go now. But it may have ended just now.
    if (std::exchange(missed_, oldest->number) == oldest->number) {
      BreakOff(Replaced());
    }
    return;
  }
  if (**waits != kStandby) {
    stalled_since_.reset();
    if (!(*waits)->empty()) Tell(**waits, now);
    return;
  }
  if (!stalled_since_) stalled_since_ = begun;
  Tell("a synchronous standby", now);
  if (now - *stalled_since_ >= options_.standby) {
    BreakOff(Stalled(now - *stalled_since_));
  }
}

absl::StatusOr<absl::optional<std::string>> StatementWatch::Ask(
    const Running& running) {
  if (session_ == nullptr || !session_->healthy()) {
    USERPROFILE_ASSIGN_OR_RETURN(session_, database_.ProbingSessions()());
  }
  const bool connecting = running.backend.pid.empty();
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      session_->Execute(kStatementWaits,
                        connecting
                            ? postgres::Parameters{absl::nullopt, absl::nullopt}
                            : postgres::Parameters{running.backend.pid,
                                                   running.backend.started}));
  if (!rows.empty()) return std::string(rows.Text(0, 0));
  return connecting ? absl::make_optional<std::string>() : absl::nullopt;
}

void StatementWatch::Tell(const std::string& what, SteadyTime now) {
  if (told_ && now - *told_ < options_.look_after) return;
  told_ = now;
  spdlog::info("still waiting for {}", what);
}

void StatementWatch::BreakOff(absl::Status why) {
  {
    base::MutexLock lock(mutex_);
    broken_off_ = std::move(why);
  }
  database_.InterruptAt(SteadyTime::Now());
}

}  // namespace userprofile::app
