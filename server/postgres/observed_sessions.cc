#include "server/postgres/observed_sessions.h"

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "base/steady_time.h"

namespace userprofile::postgres {
namespace {

class ObservedSession final : public Session {
 public:
  ObservedSession(std::unique_ptr<Session> session,
                  ops::DatabaseMetrics& metrics)
      : session_(std::move(session)), metrics_(metrics) {
    metrics_.CountOpened();
  }
  ~ObservedSession() override { metrics_.CountClosed(session_->lost()); }

  absl::StatusOr<Rows> Execute(const Statement& statement,
                               const Parameters& parameters) override {
    const base::SteadyTime start = base::SteadyTime::Now();
    auto rows = session_->Execute(statement, parameters);
    metrics_.ObserveStatement(statement.name, base::SteadyTime::Now() - start,
                              rows.status().code());
    return rows;
  }

  absl::StatusOr<Rows> ExecuteScript(absl::string_view sql) override {
    return session_->ExecuteScript(sql);
  }

  bool healthy() override { return session_->healthy(); }
  bool lost() override { return session_->lost(); }

 private:
  const std::unique_ptr<Session> session_;
  ops::DatabaseMetrics& metrics_;
};

}  // namespace

SessionFactory ObserveSessions(SessionFactory connect,
                               ops::DatabaseMetrics& metrics) {
  return [connect = std::move(connect),
          &metrics]() -> absl::StatusOr<std::unique_ptr<Session>> {
    auto session = connect();
    if (!session.ok()) {
      metrics.CountConnectFailure();
      return session.status();
    }
    return std::make_unique<ObservedSession>(*std::move(session), metrics);
  };
}

}  // namespace userprofile::postgres
