#ifndef USERPROFILE_SERVER_STORE_UPSERT_USER_H_
#define USERPROFILE_SERVER_STORE_UPSERT_USER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "server/store/session_executor.h"

namespace userprofile::store {

// The identity columns, in the order of kUpsertUsers.
inline constexpr std::size_t kIdentityFields = 4;

// What a contact says about an identity column.
struct FieldUpdate {
  enum class Kind { kKeep, kClear, kSet };
  Kind kind = Kind::kKeep;
  absl::string_view value;  // of the request; not empty for kSet, else empty
};

// One UpsertUser call.
struct UpsertUserOperation final : Operation {
  // `now` is when the service heard of the user.
  UpsertUserOperation(const v1::UpsertUserRequest& request,
                      v1::UpsertUserResponse* response, absl::Time now,
                      CallContext context, Done done);

  const std::int64_t user_id;
  const std::array<FieldUpdate, kIdentityFields> identity;
  const bool is_active;
  const absl::Time occurred_at;  // never after `now`
  v1::UpsertUserResponse* const response;
};

// Writes the contacts of a batch by one statement. All contacts of a batch are
// of different users, for no statement can write a row twice, and every contact
// is to have its own effect. They also agree on what NULL means in each column:
// none clears a column that another one keeps (see kUpsertUsers).
class UpsertUserExecutor final : public SessionExecutor {
 public:
  // For `contact_interval` see PostgresStoreOptions.
  UpsertUserExecutor(postgres::SessionFactory connect, base::Clock clock,
                     absl::Duration contact_interval);

  void BeginBatch() override;
  bool Admit(const Operation& operation) override;
  absl::Status Execute(absl::Span<Operation* const> batch) override;

 private:
  // What NULL means in each column of a batch, as far as a contact decided it.
  enum class NullMeaning { kUndecided, kKeeps, kClears };
  using NullMeanings = std::array<NullMeaning, kIdentityFields>;

  // Decides by what `contact` says; false, and no change, if it disagrees.
  static bool Agree(const UpsertUserOperation& contact, NullMeanings& meanings);

  const base::Clock clock_;
  const absl::Duration contact_interval_;

  // Of the batch under collection.
  absl::flat_hash_set<std::int64_t> users_;
  NullMeanings meanings_{};
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_UPSERT_USER_H_
