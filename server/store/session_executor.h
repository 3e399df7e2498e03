#ifndef USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_
#define USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_

#include <memory>
#include <utility>

#include "server/postgres/session.h"
#include "server/store/batch_executor.h"

namespace userprofile::store {

// What all executors on PostgreSQL share: a session that is made when it is
// needed and replaced once it is lost.
class SessionExecutor : public BatchExecutor {
 public:
  explicit SessionExecutor(postgres::SessionFactory connect)
      : connect_(std::move(connect)) {}

  absl::Status Connect() final;

 protected:
  // Valid after Connect, until the session is lost.
  postgres::Session& session() { return *session_; }

 private:
  const postgres::SessionFactory connect_;
  std::unique_ptr<postgres::Session> session_;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_
