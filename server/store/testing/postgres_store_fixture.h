#ifndef USERPROFILE_SERVER_STORE_TESTING_POSTGRES_STORE_FIXTURE_H_
#define USERPROFILE_SERVER_STORE_TESTING_POSTGRES_STORE_FIXTURE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "gtest/gtest.h"
#include "server/postgres/forwarding_session.h"
#include "server/store/postgres_store.h"
#include "server/store/testing/blocking_store.h"
#include "server/store/testing/users_database.h"

// What the tests of PostgresStore share.
namespace userprofile::store {

// A session of the store with something that happens before and after each of
// its statements.
class WatchedSession final : public postgres::ForwardingSession {
 public:
  using Watch =
      std::function<void(const postgres::Statement&, postgres::Session&)>;

  WatchedSession(std::unique_ptr<postgres::Session> session, Watch before,
                 Watch after)
      : ForwardingSession(std::move(session)),
        before_(std::move(before)),
        after_(std::move(after)) {}

  absl::StatusOr<postgres::Rows> Execute(
      const postgres::Statement& statement,
      const postgres::Parameters& parameters) override {
    if (before_) before_(statement, session());
    auto result = session().Execute(statement, parameters);
    if (after_) after_(statement, session());
    return result;
  }

 private:
  const Watch before_;
  const Watch after_;
};

class PostgresStoreTest : public ::testing::Test {
 protected:
  PostgresStoreTest() {
    options_.connect = database_.session_factory();
    options_.explain_schema_error = [] {
      return base::MakeError(absl::StatusCode::kUnavailable, "explained",
                             "SCHEMA_NOT_READY");
    };
  }

  BlockingStore& store() {
    if (impl_ == nullptr) {
      impl_ = std::make_unique<PostgresStore>(options_);
      store_ = std::make_unique<BlockingStore>(*impl_);
    }
    return *store_;
  }

  static v1::UpsertUserRequest Contact(std::int64_t user_id,
                                       const std::string& name = "Test") {
    v1::UpsertUserRequest request;
    request.set_user_id(user_id);
    request.mutable_identity()->set_first_name(name);
    return request;
  }

  // Users 1 to n, all at once.
  std::vector<absl::StatusOr<v1::UpsertUserResponse>> UpsertMany(int n) {
    std::vector<v1::UpsertUserRequest> requests;
    for (int i = 1; i <= n; ++i) requests.push_back(Contact(i));
    return store().UpsertAll(requests);
  }

  static v1::CompleteOnboardingRequest Answers(std::int64_t user_id) {
    v1::CompleteOnboardingRequest request;
    request.set_user_id(user_id);
    request.mutable_answers()->set_real_name("Ada Lovelace");
    request.mutable_answers()->set_nickname(absl::StrCat("ada", user_id));
    return request;
  }

  // Lets the store's sessions tell of their statements.
  void Watch(WatchedSession::Watch before, WatchedSession::Watch after) {
    options_.connect =
        [connect = database_.session_factory(), before,
         after]() -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
      USERPROFILE_ASSIGN_OR_RETURN(auto session, connect());
      return std::make_unique<WatchedSession>(std::move(session), before,
                                              after);
    };
  }

  // Lets PostgreSQL find deadlocks before a wait for a lock is over.
  void FindDeadlocks() {
    database_.Execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = "
        "10', current_database()); END $$");
  }

  // Since the test began. Ends the store and waits for the end of its sessions,
  // which tell what they counted.
  std::int64_t CountDeadlocks() {
    store_.reset();
    impl_.reset();
    AwaitSessions("", 0);
    return Count(
        "SELECT deadlocks FROM pg_stat_database"
        " WHERE datname = current_database()");
  }

  // Waits until at least `count` sessions beside this one are as `condition`
  // says; 0: until there is none.
  void AwaitSessions(const std::string& condition, int count) {
    const base::SteadyTime limit = base::SteadyTime::Now() + absl::Seconds(20);
    while (true) {
      const std::int64_t sessions = Count(absl::StrCat(
          "SELECT count(*) FROM pg_stat_activity"
          " WHERE datname = current_database() AND pid <> pg_backend_pid()",
          condition));
      if (count == 0 ? sessions == 0 : sessions >= count) return;
      ASSERT_TRUE(base::SteadyTime::Now() < limit);
    }
  }

  std::int64_t Count(const std::string& sql) {
    return database_.Execute(sql).Int64(0, 0);
  }

  UsersDatabase database_;
  PostgresStoreOptions options_;
  std::unique_ptr<PostgresStore> impl_;
  std::unique_ptr<BlockingStore> store_;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_TESTING_POSTGRES_STORE_FIXTURE_H_
