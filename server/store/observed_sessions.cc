#include "server/store/observed_sessions.h"

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "base/steady_time.h"

namespace userprofile::store {
namespace {

class ObservedSession final : public postgres::Session {
 public:
  ObservedSession(std::unique_ptr<postgres::Session> session,
                  ops::DatabaseMetrics& metrics)
      : session_(std::move(session)), metrics_(metrics) {
    metrics_.CountOpened();
  }
  ~ObservedSession() override { metrics_.CountClosed(session_->lost()); }

  absl::StatusOr<postgres::Rows> Execute(
      const postgres::Statement& statement,
      const postgres::Parameters& parameters) override {
    const base::SteadyTime start = base::SteadyTime::Now();
    auto rows = session_->Execute(statement, parameters);
    metrics_.ObserveStatement(statement.name, base::SteadyTime::Now() - start,
                              rows.status().code());
    return rows;
  }

  absl::StatusOr<postgres::Rows> ExecuteScript(absl::string_view sql) override {
    return session_->ExecuteScript(sql);
  }

  bool healthy() override { return session_->healthy(); }
  bool lost() override { return session_->lost(); }

 private:
  const std::unique_ptr<postgres::Session> session_;
  ops::DatabaseMetrics& metrics_;
};

}  // namespace

postgres::SessionFactory ObserveSessions(postgres::SessionFactory connect,
                                         ops::DatabaseMetrics& metrics) {
  return [connect = std::move(connect),
          &metrics]() -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
    auto session = connect();
    if (!session.ok()) {
      metrics.CountConnectFailure();
      return session.status();
    }
    return std::make_unique<ObservedSession>(*std::move(session), metrics);
  };
}

}  // namespace userprofile::store
