#ifndef USERPROFILE_SERVER_POSTGRES_FORWARDING_SESSION_H_
#define USERPROFILE_SERVER_POSTGRES_FORWARDING_SESSION_H_

#include <memory>
#include <string>
#include <utility>

#include "server/postgres/session.h"

namespace userprofile::postgres {

// A session that leaves everything to another one: for those that do one thing
// differently.
class ForwardingSession : public Session {
 public:
  absl::StatusOr<Rows> Execute(const Statement& statement,
                               const Parameters& parameters) override {
    return session_->Execute(statement, parameters);
  }
  absl::StatusOr<Rows> ExecuteScript(absl::string_view sql) override {
    return session_->ExecuteScript(sql);
  }
  absl::StatusOr<std::string> FindTables() override {
    return session_->FindTables();
  }
  bool healthy() override { return session_->healthy(); }
  bool lost() override { return session_->lost(); }

 protected:
  explicit ForwardingSession(std::unique_ptr<Session> session)
      : session_(std::move(session)) {}

  Session& session() { return *session_; }

 private:
  const std::unique_ptr<Session> session_;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_FORWARDING_SESSION_H_
