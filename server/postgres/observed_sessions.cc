#include "server/postgres/observed_sessions.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/forwarding_session.h"

namespace userprofile::postgres {
namespace {

// What the connections to the database count, all of a factory together.
class DatabaseMetrics {
 public:
  explicit DatabaseMetrics(ops::Metrics& metrics) : metrics_(metrics) {}

  void CountOpened() const {
    made_.Increment();
    open_.Add(1);
  }
  void CountClosed(bool lost) const {
    if (lost) lost_.Increment();
    open_.Add(-1);
  }
  void CountConnectFailure() const { connect_failures_.Increment(); }

  void ObserveStatement(absl::string_view name, absl::Duration duration,
                        bool ok) {
    const Statement statement = StatementOf(name);
    statement.duration.Observe(duration);
    if (!ok) statement.failures.Increment();
  }

 private:
  struct Statement {
    ops::Histogram duration;
    ops::Counter failures;
  };

  Statement StatementOf(absl::string_view name) {
    base::MutexLock lock(mutex_);
    const auto known = statements_.find(name);
    if (known != statements_.end()) return known->second;
    const std::string text(name);
    const ops::Labels labels = {{"statement", text}};
    return statements_[text] = {
               ops::Histogram(
                   &metrics_, "userprofile_database_statement_duration_seconds",
                   "Time from sending a statement to its last row, by the "
                   "statement's name.",
                   labels),
               ops::Counter(
                   &metrics_, "userprofile_database_statement_failures_total",
                   "Statements that failed, by the statement's name.", labels)};
  }

  ops::Metrics& metrics_;
  const ops::Gauge open_{&metrics_, "userprofile_database_connections",
                         "Connections to the database that are open now."};
  const ops::Counter made_{&metrics_,
                           "userprofile_database_connections_made_total",
                           "Connections to the database that were made."};
  const ops::Counter lost_{
      &metrics_, "userprofile_database_connections_lost_total",
      "Connections to the database that were lost while in use."};
  const ops::Counter connect_failures_{
      &metrics_, "userprofile_database_connect_failures_total",
      "Connections to the database that could not be made."};

  base::Mutex mutex_;
  std::map<std::string, Statement, std::less<>> statements_
      ABSL_GUARDED_BY(mutex_);
};

class ObservedSession final : public ForwardingSession {
 public:
  ObservedSession(std::unique_ptr<Session> session,
                  std::shared_ptr<DatabaseMetrics> metrics)
      : ForwardingSession(std::move(session)), metrics_(std::move(metrics)) {
    metrics_->CountOpened();
  }
  ~ObservedSession() override { metrics_->CountClosed(session().lost()); }

  absl::StatusOr<Rows> Execute(const Statement& statement,
                               const Parameters& parameters) override {
    const base::SteadyTime start = base::SteadyTime::Now();
    auto rows = session().Execute(statement, parameters);
    metrics_->ObserveStatement(statement.name, base::SteadyTime::Now() - start,
                               rows.ok());
    return rows;
  }

 private:
  const std::shared_ptr<DatabaseMetrics> metrics_;
};

}  // namespace

SessionFactory ObserveSessions(SessionFactory connect, ops::Metrics& metrics) {
  return [connect = std::move(connect),
          counted = std::make_shared<DatabaseMetrics>(
              metrics)]() -> absl::StatusOr<std::unique_ptr<Session>> {
    auto session = connect();
    if (!session.ok()) {
      counted->CountConnectFailure();
      return session.status();
    }
    return std::make_unique<ObservedSession>(*std::move(session), counted);
  };
}

}  // namespace userprofile::postgres
