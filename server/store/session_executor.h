#ifndef USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_
#define USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_

#include <memory>
#include <utility>

#include "server/postgres/session.h"
#include "server/store/batch_executor.h"

namespace userprofile::store {

// What all executors on PostgreSQL share: a session that is made when it is
// needed and replaced once it is lost, or finds the schema not as needed.
class SessionExecutor : public BatchExecutor {
 public:
  explicit SessionExecutor(postgres::SessionFactory connect)
      : connect_(std::move(connect)) {}

  absl::Status Connect() final;

 protected:
  // Runs a statement; after Connect, until the session is lost.
  absl::StatusOr<postgres::Rows> Query(const postgres::Statement& statement,
                                       const postgres::Parameters& parameters);

 private:
  const postgres::SessionFactory connect_;
  std::unique_ptr<postgres::Session> session_;

  // The schema was not as needed. Where a search path or a role is mended, that
  // holds for new sessions only.
  bool replace_ = false;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_SESSION_EXECUTOR_H_
