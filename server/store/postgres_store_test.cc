// What PostgresStore does when the database, or what is in it, gets in the way.
// What it does otherwise is in conformance_test.cc.

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/metrics.h"
#include "server/store/postgres_store.h"
#include "server/store/profile_rows.h"
#include "server/store/statements.h"
#include "server/store/testing/blocking_store.h"
#include "server/store/testing/users_database.h"

namespace userprofile::store {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::Not;

// A session of the store with something that happens before and after each of
// its statements.
class WatchedSession final : public postgres::Session {
 public:
  using Watch =
      std::function<void(const postgres::Statement&, postgres::Session&)>;

  WatchedSession(std::unique_ptr<postgres::Session> session, Watch before,
                 Watch after)
      : session_(std::move(session)),
        before_(std::move(before)),
        after_(std::move(after)) {}

  absl::StatusOr<postgres::Rows> Execute(
      const postgres::Statement& statement,
      const postgres::Parameters& parameters) override {
    if (before_) before_(statement, *session_);
    auto result = session_->Execute(statement, parameters);
    if (after_) after_(statement, *session_);
    return result;
  }

  absl::StatusOr<postgres::Rows> ExecuteScript(absl::string_view sql) override {
    return session_->ExecuteScript(sql);
  }

  bool healthy() override { return session_->healthy(); }

 private:
  const std::unique_ptr<postgres::Session> session_;
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

TEST_F(PostgresStoreTest, BatchesWhatWaits) {
  ops::Metrics metrics;
  options_.metrics = &metrics;
  for (const auto& response : UpsertMany(500)) ASSERT_TRUE(response.ok());
  EXPECT_THAT(metrics.Text(),
              Not(HasSubstr("batch_size_count{lane=\"upsert_user\"} 500")));
  EXPECT_EQ(Count("SELECT count(*) FROM users WHERE revision = 1"), 500);
}

TEST_F(PostgresStoreTest, GoesOnOverFreshConnectionsWhenAllAreCut) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().Get(1).ok());
  database_.CutConnections();
  EXPECT_TRUE(store().Get(1).ok());
  const auto again = store().Upsert(Contact(1));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE(again->created());
}

TEST_F(PostgresStoreTest, DoesNotSendAWriteIntoAConnectionThatIsDead) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().Upsert(Contact(2)).ok());
  ASSERT_TRUE(store().Complete(Answers(1)).ok());
  database_.CutConnections();
  AwaitSessions("", 0);
  const auto response = store().Complete(Answers(2));
  EXPECT_TRUE(response.ok()) << response.status();
}

TEST_F(PostgresStoreTest, RidesOutADatabaseThatIsRestarted) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  database_.StopServer();
  std::thread restarter([this] { database_.StartServer(); });
  CallContext context;
  context.deadline = base::SteadyTime::Now() + absl::Seconds(30);
  const auto upserted = store().Upsert(Contact(1), context);
  const auto read = store().Get(1, context);
  restarter.join();
  ASSERT_TRUE(upserted.ok()) << upserted.status();
  EXPECT_FALSE(upserted->created());
  EXPECT_TRUE(read.ok()) << read.status();
}

TEST_F(PostgresStoreTest, LetsOnlyTheUserFailWhoseRowEndsTheConnection) {
  store();
  database_.Execute(
      "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;"
      "CREATE TRIGGER crash BEFORE INSERT ON users FOR EACH ROW"
      " WHEN (NEW.user_id = 5) EXECUTE FUNCTION crash()");
  absl::Status status;
  std::thread culprit([&] {
    const base::SteadyTime deadline =
        base::SteadyTime::Now() + absl::Seconds(3);
    status = store().Upsert(Contact(5), {deadline, {}}).status();
  });
  std::vector<v1::UpsertUserRequest> others;
  for (int i = 6; i <= 40; ++i) others.push_back(Contact(i));
  for (const auto& outcome : store().UpsertAll(others)) {
    EXPECT_TRUE(outcome.ok()) << outcome.status();
  }
  culprit.join();
  EXPECT_EQ(base::ErrorReason(status), "DATABASE_UNAVAILABLE") << status;
}

TEST_F(PostgresStoreTest, SaysThatTheDatabaseIsAwayWhenTimeRunsOut) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  database_.StopServer();
  const auto soon = [] {
    return CallContext{base::SteadyTime::Now() + absl::Milliseconds(300), {}};
  };
  for (const absl::Status& status :
       {store().Upsert(Contact(1), soon()).status(),
        store().Get(1, soon()).status(),
        store().Complete(Answers(1), soon()).status()}) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_EQ(base::ErrorReason(status), "DATABASE_UNAVAILABLE");
  }
  database_.StartServer();
  EXPECT_TRUE(store().Get(1).ok());
}

TEST_F(PostgresStoreTest, CreatesEachUserOnceWhileConnectionsAreCut) {
  store();
  std::atomic<bool> done = false;
  std::thread cutter([&] {
    while (!done) database_.CutConnections();
  });
  constexpr int kUsers = 50;
  std::vector<std::atomic<int>> created(kUsers + 1);
  std::vector<std::thread> bots;
  for (int bot = 0; bot < 4; ++bot) {
    bots.emplace_back([&] {
      for (int user = 1; user <= kUsers; ++user) {
        const auto response = store().Upsert(Contact(user));
        ASSERT_TRUE(response.ok()) << response.status();
        if (response->created()) ++created[user];
      }
    });
  }
  for (std::thread& bot : bots) bot.join();
  done = true;
  cutter.join();
  for (int user = 1; user <= kUsers; ++user) EXPECT_LE(created[user], 1);
  EXPECT_EQ(Count("SELECT count(*) FROM users"), kUsers);
}

TEST_F(PostgresStoreTest, LetsOnlyTheUserFailWhoseRowIsRefused) {
  database_.Execute("ALTER TABLE users ADD CHECK (user_id <> 77)");
  const auto responses = UpsertMany(200);
  for (int user = 1; user <= 200; ++user) {
    const absl::Status status = responses[user - 1].status();
    if (user == 77) {
      EXPECT_EQ(base::ErrorReason(status), "ROW_REJECTED");
    } else {
      EXPECT_TRUE(status.ok()) << user << ": " << status;
    }
  }
  EXPECT_EQ(Count("SELECT count(*) FROM users"), 199);
}

TEST_F(PostgresStoreTest, ReportsARowThatATriggerSwallows) {
  database_.Execute(
      "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN IF NEW.user_id = 7 THEN RETURN NULL; END IF; RETURN NEW; END';"
      "CREATE TRIGGER swallow BEFORE INSERT ON users FOR EACH ROW"
      " EXECUTE FUNCTION swallow()");
  const auto responses = UpsertMany(10);
  for (int user = 1; user <= 10; ++user) {
    EXPECT_EQ(responses[user - 1].ok(), user != 7);
  }
  EXPECT_EQ(base::ErrorReason(responses[6].status()), "ROW_REJECTED");
}

TEST_F(PostgresStoreTest, DoesNotLetALockedUserHoldUpOthers) {
  ASSERT_TRUE(store().Upsert(Contact(7)).ok());
  const auto holder = database_.Connect();
  ASSERT_TRUE(holder
                  ->ExecuteScript("BEGIN; SELECT * FROM users"
                                  " WHERE user_id = 7 FOR UPDATE")
                  .ok());
  CallContext context;
  context.deadline = base::SteadyTime::Now() + absl::Seconds(60);
  std::thread locked(
      [&] { EXPECT_TRUE(store().Upsert(Contact(7), context).ok()); });
  for (int user = 11; user <= 30; ++user) {
    EXPECT_TRUE(store().Upsert(Contact(user), context).ok());
  }
  ASSERT_TRUE(holder->ExecuteScript("COMMIT").ok());
  locked.join();
}

TEST_F(PostgresStoreTest, WritesRowsInKeyOrderSoThatBatchesCannotDeadlock) {
  FindDeadlocks();
  std::vector<std::thread> replicas;
  for (int replica = 0; replica < 3; ++replica) {
    replicas.emplace_back([this, replica] {
      PostgresStore impl(options_);
      BlockingStore store(impl);
      std::mt19937 random(replica);
      std::vector<v1::UpsertUserRequest> requests;
      for (int i = 1; i <= 100; ++i) requests.push_back(Contact(i));
      for (int round = 0; round < 10; ++round) {
        std::shuffle(requests.begin(), requests.end(), random);
        for (const auto& response : store.UpsertAll(requests)) {
          EXPECT_TRUE(response.ok()) << response.status();
        }
      }
    });
  }
  for (std::thread& replica : replicas) replica.join();
  EXPECT_EQ(CountDeadlocks(), 0);
  EXPECT_EQ(Count("SELECT min(revision) FROM users"), 30);
  EXPECT_EQ(Count("SELECT max(revision) FROM users"), 30);
}

// A batch of contacts waits in the middle of its rows, and then one of
// onboardings for some that the first holds: it must hold none that the first
// still needs. That rows lie in another order than their keys, in a table that
// PostgreSQL knows to be small, makes it fetch them in that order.
TEST_F(PostgresStoreTest, CompletesOnboardingsBesideContactsWithoutDeadlocks) {
  FindDeadlocks();
  constexpr int kUsers = 100;
  database_.Execute(
      "INSERT INTO users (user_id) SELECT generate_series(100, 1, -1);"
      "ANALYZE users");
  auto holder = database_.Connect();
  ASSERT_TRUE(holder
                  ->ExecuteScript("BEGIN; SELECT FROM users"
                                  " WHERE user_id = 50 FOR UPDATE")
                  .ok());
  const std::string waits = " AND wait_event_type = 'Lock'";
  store();
  std::thread contacts([&] {
    for (const auto& response : UpsertMany(kUsers)) {
      EXPECT_TRUE(response.ok()) << response.status();
    }
  });
  AwaitSessions(waits, 1);
  std::thread onboardings([&] {
    std::vector<v1::CompleteOnboardingRequest> requests;
    for (int i = kUsers; i > 0; --i) requests.push_back(Answers(i));
    for (const auto& response : store().CompleteAll(requests)) {
      EXPECT_TRUE(response.ok()) << response.status();
    }
  });
  AwaitSessions(waits, 2);
  EXPECT_TRUE(holder->ExecuteScript("COMMIT").ok());
  holder.reset();
  contacts.join();
  onboardings.join();
  EXPECT_EQ(CountDeadlocks(), 0);
}

TEST_F(PostgresStoreTest, ExplainsAMissingColumnAndRecoversWhenItIsBack) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().Get(1).ok());
  database_.Execute("ALTER TABLE users DROP COLUMN first_name");
  for (const absl::Status& status :
       {store().Upsert(Contact(1)).status(), store().Get(1).status(),
        store().Upsert(Contact(2)).status(), store().Get(2).status(),
        store().Complete(Answers(1)).status()}) {
    EXPECT_EQ(base::ErrorReason(status), "SCHEMA_NOT_READY") << status;
  }
  database_.Execute("ALTER TABLE users ADD COLUMN first_name varchar");
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
  EXPECT_TRUE(store().Get(1).ok());
  EXPECT_TRUE(store().Complete(Answers(1)).ok());
}

TEST_F(PostgresStoreTest, NeverTakesAMissingTableForAnEmptyOne) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().Get(1).ok());
  database_.Execute("ALTER TABLE users RENAME TO users_elsewhere");
  EXPECT_EQ(base::ErrorReason(store().Get(1).status()), "SCHEMA_NOT_READY");
  EXPECT_EQ(base::ErrorReason(store().Upsert(Contact(1)).status()),
            "SCHEMA_NOT_READY");
  database_.Execute("ALTER TABLE users_elsewhere RENAME TO users");
  EXPECT_TRUE(store().Get(1).ok());
}

TEST_F(PostgresStoreTest, FindsTheTableOnceTheSearchPathIsMended) {
  options_.upsert_workers = 1;  // each finds out by itself
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
  database_.Execute("CREATE SCHEMA bot; ALTER TABLE users SET SCHEMA bot");
  EXPECT_EQ(base::ErrorReason(store().Upsert(Contact(1)).status()),
            "SCHEMA_NOT_READY");
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = bot, "
      "public', current_database()); END $$");
  const auto contact = store().Upsert(Contact(1));
  ASSERT_TRUE(contact.ok()) << contact.status();
  EXPECT_FALSE(contact->created());
}

TEST_F(PostgresStoreTest, RecoversFromAColumnThatChangesItsType) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().Get(1).ok());
  database_.Execute("ALTER TABLE users ALTER first_name TYPE text");
  EXPECT_TRUE(store().Get(1).ok());
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
}

TEST_F(PostgresStoreTest, ReadsTimesThatNoMessageCanHold) {
  database_.Execute(
      "INSERT INTO users (user_id, created_at, last_seen_at, last_activity)"
      " VALUES (1, '-infinity', 'infinity', '20000-01-01')");
  const auto response = store().Get(1);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->profile().created_at().seconds(), -62135596800);
  EXPECT_EQ(response->profile().last_seen_at().seconds(), 253402300799);
  EXPECT_EQ(response->profile().last_activity().seconds(), 253402300799);
}

TEST_F(PostgresStoreTest, KeepsWhatALegacyBotStoredOfAnswersNotGiven) {
  database_.Execute(
      "INSERT INTO users (user_id, study_track, phone)"
      " VALUES (1, 'physics', '0912')");
  const auto response = store().Complete(Answers(1));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->profile().study_track(), "physics");
  EXPECT_EQ(response->profile().phone(), "0912");
  EXPECT_TRUE(store().Complete(Answers(1))->already_completed());
}

TEST_F(PostgresStoreTest, DoesNotCallARowOfALegacyBotCreated) {
  database_.Execute("INSERT INTO users (user_id) VALUES (1)");
  EXPECT_FALSE(store().Upsert(Contact(1))->created());
}

TEST_F(PostgresStoreTest, NeverCallsAKnownUserCreatedWhateverItsRevision) {
  for (const char* revision : {"0", "-1", "NULL"}) {
    SCOPED_TRACE(revision);
    database_.Execute(absl::StrCat(
        "DELETE FROM users; ALTER TABLE users ALTER revision DROP NOT NULL;"
        "INSERT INTO users (user_id, revision) VALUES (1, ",
        revision, "), (2, ", revision, ")"));
    std::int64_t last = 1;
    for (int i = 0; i < 3; ++i) {
      const auto response = store().Upsert(Contact(1));
      ASSERT_TRUE(response.ok()) << response.status();
      EXPECT_FALSE(response->created());
      EXPECT_GT(response->profile().revision(), last);
      last = response->profile().revision();
    }
    const auto completed = store().Complete(Answers(2));
    ASSERT_TRUE(completed.ok()) << completed.status();
    EXPECT_GT(completed->profile().revision(), 1);
    EXPECT_FALSE(store().Upsert(Contact(2))->created());
  }
}

TEST_F(PostgresStoreTest, NeverTakesARowThatItMayNotSeeForAnUnknownUser) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  database_.Execute(
      "ALTER TABLE users ENABLE ROW LEVEL SECURITY;"
      "DROP ROLE IF EXISTS reader; CREATE ROLE reader;"
      "GRANT ALL ON users TO reader");
  options_.connect = [this]() -> decltype(options_.connect()) {
    auto session = database_.Connect();
    EXPECT_TRUE(session->ExecuteScript("SET ROLE reader").ok());
    return session;
  };
  PostgresStore impl(options_);
  BlockingStore limited(impl);
  EXPECT_EQ(base::ErrorReason(limited.Get(1).status()), "SCHEMA_NOT_READY");
  database_.Execute("DROP OWNED BY reader; DROP ROLE reader");
}

TEST_F(PostgresStoreTest, KnowsATakenNicknameByALegacyIndexToo) {
  database_.Execute(
      "DROP INDEX idx_users_nickname; ALTER TABLE users ADD UNIQUE (nickname);"
      "CREATE UNIQUE INDEX idx_users_nickname ON users (nickname);"
      "INSERT INTO users (user_id, nickname) VALUES (2, 'ada1')");
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  EXPECT_EQ(base::ErrorReason(store().Complete(Answers(1)).status()),
            "NICKNAME_TAKEN");
}

TEST_F(PostgresStoreTest, KnowsATakenNicknameByWhateverIndexThatSaysSo) {
  struct Case {
    const char* sql;
    const char* reason;
  };
  const char* other_columns = "ALTER TABLE users ADD UNIQUE (nickname, phone)";
  for (const Case& c : {
           Case{"CREATE UNIQUE INDEX \"UQ_ab12\" ON users (nickname)",
                "NICKNAME_TAKEN"},
           Case{"ALTER TABLE users ADD CONSTRAINT \"UQ_ab12\" UNIQUE"
                " (nickname)",
                "NICKNAME_TAKEN"},
           // Inside the message's "unique constraint", too.
           Case{"ALTER TABLE users ADD CONSTRAINT uniq UNIQUE (nickname)",
                "NICKNAME_TAKEN"},
           Case{"CREATE UNIQUE INDEX one ON users (lower(nickname))",
                "NICKNAME_TAKEN"},
           Case{"CREATE UNIQUE INDEX one ON users (nickname) INCLUDE (phone)"
                " WHERE is_active",
                "NICKNAME_TAKEN"},
           Case{"CREATE UNIQUE INDEX nickname ON users (real_name)",
                "ROW_REJECTED"},
           Case{"CREATE UNIQUE INDEX one ON users (lower(nickname || "
                "real_name))",
                "ROW_REJECTED"},
       }) {
    SCOPED_TRACE(c.sql);
    UsersDatabase database;
    database.Execute("DROP INDEX idx_users_nickname");
    database.Execute(c.sql);
    database.Execute(other_columns);
    database.Execute(
        "INSERT INTO users (user_id, nickname, real_name, is_active) VALUES"
        " (1, NULL, NULL, true), (2, 'ada1', 'Ada Lovelace', true)");
    PostgresStoreOptions options;
    options.connect = database.session_factory();
    PostgresStore impl(options);
    BlockingStore store(impl);
    EXPECT_EQ(base::ErrorReason(store.Complete(Answers(1)).status()), c.reason);
  }
}

// What others made for rows that are inserted is nothing to known users.
TEST_F(PostgresStoreTest, DoesNotInsertARowForAKnownUser) {
  database_.Execute("INSERT INTO users (user_id) SELECT generate_series(1, 9)");
  for (const char* legacy : {
           "ALTER TABLE users ADD email text, ADD tg_chat text,"
           " ADD CHECK (email IS NOT NULL OR tg_chat IS NOT NULL) NOT VALID;"
           "ALTER TABLE users DISABLE TRIGGER ALL;"
           "UPDATE users SET email = 'x' WHERE user_id < 10",
           "ALTER TABLE users ADD city text NOT NULL DEFAULT 'Tehran';"
           "ALTER TABLE users ALTER city DROP DEFAULT",
           "CREATE TABLE wallets (user_id bigint PRIMARY KEY);"
           "INSERT INTO wallets SELECT user_id FROM users;"
           "INSERT INTO wallets VALUES (101);"
           "CREATE FUNCTION wallet() RETURNS trigger LANGUAGE plpgsql AS"
           " 'BEGIN INSERT INTO wallets VALUES (NEW.user_id);"
           " RETURN NEW; END';"
           "CREATE TRIGGER wallet BEFORE INSERT ON users FOR EACH ROW"
           " EXECUTE FUNCTION wallet()",
       }) {
    SCOPED_TRACE(legacy);
    database_.Execute(legacy);
    std::vector<v1::UpsertUserRequest> requests = {Contact(101)};
    for (int user = 1; user <= 9; ++user) requests.push_back(Contact(user));
    const auto responses = store().UpsertAll(requests);
    EXPECT_EQ(base::ErrorReason(responses[0].status()), "ROW_REJECTED");
    for (int user = 1; user <= 9; ++user) {
      ASSERT_TRUE(responses[user].ok()) << responses[user].status();
      EXPECT_FALSE(responses[user]->created());
    }
    database_.Execute(
        "ALTER TABLE users DROP IF EXISTS email, DROP IF EXISTS tg_chat,"
        " DROP IF EXISTS city");
  }
}

TEST_F(PostgresStoreTest, DrawsNoNumberFromASequenceForAKnownUser) {
  database_.Execute("ALTER TABLE users ADD number serial");
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  EXPECT_EQ(Count("SELECT last_value FROM users_number_seq"), 1);
}

TEST_F(PostgresStoreTest, NeverCallsAKnownUserCreatedWhateverATriggerWrites) {
  ASSERT_TRUE(store().Upsert(Contact(1))->created());
  database_.Execute(
      "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN NEW.revision := 1; RETURN NEW; END';"
      "CREATE TRIGGER meddle BEFORE UPDATE ON users FOR EACH ROW"
      " EXECUTE FUNCTION meddle()");
  EXPECT_FALSE(store().Upsert(Contact(1))->created());
  EXPECT_TRUE(store().Upsert(Contact(2))->created());
}

TEST_F(PostgresStoreTest, SaysThatATriggerSwallowsTheUpdateOfAKnownUser) {
  database_.Execute(
      "INSERT INTO users (user_id) VALUES (7);"
      "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN IF NEW.user_id = 7 THEN RETURN NULL; END IF; RETURN NEW; END';"
      "CREATE TRIGGER swallow BEFORE UPDATE ON users FOR EACH ROW"
      " EXECUTE FUNCTION swallow()");
  const auto responses = UpsertMany(10);
  for (int user = 1; user <= 10; ++user) {
    EXPECT_EQ(responses[user - 1].ok(), user != 7);
  }
  EXPECT_EQ(base::ErrorReason(responses[6].status()), "ROW_REJECTED");
}

// Between the look for a user and the attempt to insert them, another server
// is faster, or the connection is lost. Users 1 and 2 are known.
TEST_F(PostgresStoreTest, GivesEachContactOneEffectThoughNewUsersTakeTwoSteps) {
  options_.upsert_workers = 1;
  for (const bool lost : {false, true}) {
    SCOPED_TRACE(lost);
    database_.Execute(
        "TRUNCATE users; INSERT INTO users (user_id)"
        " SELECT generate_series(1, 2)");
    std::atomic<bool> once = false;
    Watch(
        [&](const postgres::Statement& statement, postgres::Session&) {
          if (std::string(statement.name) != "insert_users") return;
          if (once.exchange(true)) return;
          if (lost) {
            database_.CutConnections();
          } else {
            database_.Execute(
                "INSERT INTO users (user_id, nickname) VALUES (3, 'ada')");
          }
        },
        nullptr);
    store_.reset();
    impl_.reset();
    // So that the rest go as one batch.
    auto holder = database_.Connect();
    ASSERT_TRUE(store().Upsert(Contact(2)).ok());
    ASSERT_TRUE(holder
                    ->ExecuteScript("BEGIN; SELECT FROM users"
                                    " WHERE user_id = 2 FOR UPDATE")
                    .ok());
    std::thread first([&] { EXPECT_TRUE(store().Upsert(Contact(2)).ok()); });
    AwaitSessions(" AND wait_event_type = 'Lock'", 1);
    std::vector<absl::StatusOr<v1::UpsertUserResponse>> responses;
    std::thread rest([&] {
      responses = store().UpsertAll({Contact(1), Contact(3), Contact(4)});
    });
    EXPECT_TRUE(holder->ExecuteScript("COMMIT").ok());
    holder.reset();
    first.join();
    rest.join();
    ASSERT_TRUE(once);
    for (const auto& response : responses) {
      ASSERT_TRUE(response.ok()) << response.status();
    }
    EXPECT_EQ(responses[0]->profile().revision(), 2);
    EXPECT_EQ(responses[1]->created(), lost);
    EXPECT_EQ(responses[1]->profile().nickname(), lost ? "" : "ada");
    EXPECT_EQ(responses[1]->profile().first_name(), "Test");
    EXPECT_TRUE(responses[2]->created());
    EXPECT_EQ(Count("SELECT count(*) FROM users"), 4);
  }
}

TEST_F(PostgresStoreTest, ForgivesTimesThatLieInTheFuture) {
  database_.Execute(
      "INSERT INTO users (user_id, first_name, last_activity, last_seen_at)"
      " VALUES (1, 'Old', now() + '9 years', now() + '9 years'),"
      " (2, 'Old', now() + '1 minute', now() + '1 minute')");
  const absl::Time event = absl::FromUnixSeconds(1'700'000'000);
  for (const int user : {1, 2}) {
    v1::UpsertUserRequest request = Contact(user, "New");
    SetTimestamp(event, request.mutable_occurred_at());
    const v1::Profile profile = store().Upsert(request)->profile();
    EXPECT_EQ(profile.first_name(), user == 1 ? "New" : "Old");
    EXPECT_EQ(FromTimestamp(profile.last_activity()) == event, user == 1);
    EXPECT_LT(FromTimestamp(profile.last_seen_at()),
              absl::Now() + absl::Minutes(2));
  }
}

// Nor with another plan for a table of another size.
TEST_F(PostgresStoreTest, LooksUpEachContactByKeyInItsOrder) {
  for (const int users : {0, 1, 3, 1000}) {
    database_.Execute("TRUNCATE users");
    database_.Execute(absl::StrCat(
        "INSERT INTO users (user_id) SELECT generate_series(1, ", users, ")"));
    database_.Execute("VACUUM ANALYZE users");
    for (const auto& [statement, interval] :
         {std::pair(&kUpdateUsers, ""),
          std::pair(&kUpdateChangedUsers, ", '1 s'")}) {
      const auto session = database_.Connect();
      const auto plan = session->ExecuteScript(absl::StrCat(
          "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;"
          "PREPARE s AS ",
          statement->sql,
          "; EXPLAIN EXECUTE s ('{}', '{}', '{}', '{}', '{}', '{}', '{}',"
          " now()",
          interval, ")"));
      ASSERT_TRUE(plan.ok()) << plan.status();
      std::string text;
      int scans = 0;
      int look_ups = 0;
      for (std::size_t row = 0; row < plan->size(); ++row) {
        const absl::string_view line = plan->Text(row, 0);
        absl::StrAppend(&text, line, "\n");
        scans += absl::StrContains(line, "Scan") &&
                 absl::StrContains(line, " on users");
        look_ups +=
            absl::StrContains(line, "Index Cond: (user_id = ANY (ARRAY[c");
      }
      EXPECT_EQ(scans, *interval == '\0' ? 1 : 2) << users << "\n" << text;
      EXPECT_EQ(look_ups, scans) << users << "\n" << text;
    }
  }
}

// Not as if the database were away, and not for as long as callers wait.
TEST_F(PostgresStoreTest, SaysThatPostgresRefusesWhatUsersBecame) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  const std::pair<const char*, const char*> cases[] = {
      {"CREATE RULE quiet AS ON UPDATE TO users DO INSTEAD NOTHING",
       "STATEMENT_REFUSED"},
      {"DROP RULE quiet ON users; ALTER TABLE users RENAME TO people;"
       "CREATE VIEW users AS SELECT DISTINCT * FROM people",
       "SCHEMA_NOT_READY"},
  };
  for (const auto& [change, reason] : cases) {
    database_.Execute(change);
    for (int i = 0; i < 3; ++i) {
      const absl::Status status = store().Upsert(Contact(1)).status();
      EXPECT_EQ(base::ErrorReason(status), reason) << change << status;
    }
  }
}

TEST_F(PostgresStoreTest, SaysThatALaneHasNoConnectionAndThatItHasOneAgain) {
  base::Mutex mutex;
  base::CondVar changed;
  std::vector<std::string> said;
  options_.health_grace = absl::Milliseconds(100);
  options_.on_health = [&](const char* lane, const absl::Status& status) {
    base::MutexLock lock(mutex);
    said.push_back(absl::StrCat(lane, status.ok() ? " works" : " fails"));
    changed.SignalAll();
  };
  const auto await = [&](std::size_t count) {
    base::MutexLock lock(mutex);
    const auto limit = base::SteadyTime::Now() + absl::Seconds(20);
    while (said.size() < count && base::SteadyTime::Now() < limit) {
      changed.WaitUntil(mutex, limit);
    }
    return said;
  };
  std::vector<std::unique_ptr<postgres::Session>> others;
  while (true) {
    auto session = database_.session_factory()();
    if (!session.ok()) break;
    others.push_back(*std::move(session));
  }
  const CallContext soon{base::SteadyTime::Now() + absl::Seconds(1), {}};
  EXPECT_EQ(base::ErrorReason(store().Upsert(Contact(1), soon).status()),
            "DATABASE_UNAVAILABLE");
  EXPECT_THAT(await(1), ElementsAre("upsert_user fails"));
  others.clear();
  EXPECT_THAT(await(2), ElementsAre("upsert_user fails", "upsert_user works"));
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
  store_.reset();
  impl_.reset();
}

TEST_F(PostgresStoreTest, DoesNotScanATableThatGrewSinceTheFirstStatement) {
  for (int i = 0; i < 10; ++i) ASSERT_FALSE(store().Get(1).ok());
  database_.Execute(
      "ALTER TABLE users SET (autovacuum_enabled = off);"
      "INSERT INTO users (user_id) SELECT generate_series(1, 20000)");
  for (int i = 1; i <= 20; ++i) ASSERT_TRUE(store().Get(i).ok());
  impl_->Shutdown(base::SteadyTime::InfiniteFuture());
  impl_.reset();  // its sessions report their statistics as they end
  EXPECT_GE(database_.AwaitStatistic("idx_scan", 20), 20);
  EXPECT_EQ(database_.AwaitStatistic("seq_tup_read", 0), 0);
}

TEST_F(PostgresStoreTest, CompletesByKeyThoughItsPlanIsOfASmallTable) {
  database_.Execute(
      "ALTER TABLE users SET (autovacuum_enabled = off);"
      "INSERT INTO users (user_id) SELECT generate_series(1, 200);"
      "ANALYZE users");
  ASSERT_TRUE(store().Complete(Answers(1)).ok());
  database_.Execute(
      "INSERT INTO users (user_id) SELECT generate_series(201, 20000)");
  for (int i = 2; i <= 20; ++i) ASSERT_TRUE(store().Complete(Answers(i)).ok());
  impl_->Shutdown(base::SteadyTime::InfiniteFuture());
  impl_.reset();  // its sessions report their statistics as they end
  EXPECT_THAT(database_.AwaitStatistic("idx_tup_fetch", 20),
              AllOf(Ge(20), Lt(10000)));
}

TEST_F(PostgresStoreTest, PlansNoStatementForTheValuesAtHand) {
  std::string plans;  // of the session that ran the last statement
  Watch(nullptr, [&](const auto&, postgres::Session& session) {
    plans = std::string(
        session
            .ExecuteScript(
                "SELECT sum(custom_plans) || ' custom, ' ||"
                " least(sum(generic_plans), 1) FROM pg_prepared_statements")
            ->Text(0, 0));
  });
  options_.read_workers = 1;
  options_.upsert_workers = 1;
  options_.onboarding_workers = 1;
  for (const absl::Duration interval :
       {absl::ZeroDuration(), absl::Seconds(60)}) {
    options_.contact_interval = interval;
    store_.reset();
    impl_.reset();
    for (int i = 1; i <= 3; ++i) {
      ASSERT_TRUE(store().Upsert(Contact(1)).ok());
      EXPECT_EQ(plans, "0 custom, 1") << interval;
    }
  }
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(store().Get(1).ok());
    EXPECT_EQ(plans, "0 custom, 1") << "reads";
  }
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(store().Complete(Answers(1)).ok());
    EXPECT_EQ(plans, "0 custom, 1") << "onboarding";
  }
}

}  // namespace
}  // namespace userprofile::store
