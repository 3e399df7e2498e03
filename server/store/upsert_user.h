#ifndef USERPROFILE_SERVER_STORE_UPSERT_USER_H_
#define USERPROFILE_SERVER_STORE_UPSERT_USER_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "server/store/session_executor.h"

namespace userprofile::store {

// What is_active becomes of a user whom this contact creates.
inline bool IsActiveIfNew(const v1::UpsertUserRequest& request) {
  if (request.has_is_active()) return request.is_active();
  return !request.has_is_active_if_new() || request.is_active_if_new();
}

// One UpsertUser call.
struct UpsertUserOperation final : Operation {
  UpsertUserOperation(const v1::UpsertUserRequest& q, v1::UpsertUserResponse* r,
                      CallContext context, Done done)
      : Operation(std::move(context), std::move(done), q.user_id()),
        request(q),
        response(r) {}

  const v1::UpsertUserRequest& request;
  v1::UpsertUserResponse* const response;

  // Whether the user was not there when last looked for, and how often one who
  // was not there could not be inserted either.
  bool absent = false;
  int refused = 0;
};

// Writes the contacts of a batch, all of different users, for no statement can
// write a row twice, and every contact is to have its own effect. Updates the
// users that are known; those that were not there are to be executed again, and
// then inserted. Whoever is there by then, for somebody else was faster, starts
// over. Who is missing twice is so because the database refuses them.
class UpsertUserExecutor final : public SessionExecutor {
 public:
  // For `contact_interval` see PostgresStoreOptions.
  UpsertUserExecutor(postgres::SessionFactory connect, base::Clock clock,
                     absl::Duration contact_interval);

  absl::Status Execute(absl::Span<Operation* const> batch) override;

 private:
  const base::Clock clock_;

  // What kUpdateChangedUsers takes; empty for kUpdateUsers.
  const std::string contact_interval_;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_UPSERT_USER_H_
