// What PostgresStore does when the database gets in the way. How it plans is in
// postgres_store_plans_test.cc, what it does otherwise in conformance_test.cc.

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "ops/metrics.h"
#include "server/store/testing/postgres_store_fixture.h"

namespace userprofile::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(PostgresStoreTest, BatchesWhatWaits) {
  ops::Metrics metrics;
  options_.metrics = &metrics;
  for (const auto& response : UpsertMany(500)) ASSERT_TRUE(response.ok());
  EXPECT_THAT(metrics.Text(),
              Not(HasSubstr("batch_size_count{lane=\"upsert_user\"} 500")));
  EXPECT_EQ(Count("SELECT count(*) FROM users WHERE revision = 1"), 500);
}

// Without its index, each of them reads the whole table.
TEST_F(PostgresStoreTest, PutsFewLookUpsIntoOneStatement) {
  constexpr int kLookUps = 200;
  std::promise<void> all_wait;
  std::atomic<int> statements = 0;
  Watch(
      [&](const auto& statement, auto&) {
        if (statement.name != absl::string_view("find_by_username")) return;
        if (++statements == 1) all_wait.get_future().wait();
      },
      nullptr);
  store();
  std::vector<v1::LookupProfileRequest> requests(kLookUps);
  std::vector<v1::LookupProfileResponse> responses(kLookUps);
  std::vector<std::promise<absl::Status>> answers(kLookUps);
  for (int i = 0; i < kLookUps; ++i) {
    requests[i].set_username(absl::StrCat("user", i));
    impl_->LookupProfile(
        requests[i], &responses[i], {},
        [&, i](absl::Status status) { answers[i].set_value(status); });
  }
  all_wait.set_value();
  for (auto& answer : answers) {
    EXPECT_TRUE(absl::IsNotFound(answer.get_future().get()));
  }
  EXPECT_GE(statements, kLookUps / 8);
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
  std::atomic<int> answers = 0;
  // Not so often that nobody gets an answer in between, be it that cutting is
  // faster than connecting.
  std::thread cutter([&] {
    while (!done) {
      const int before = answers;
      database_.CutConnections();
      while (!done && answers == before) absl::SleepFor(absl::Milliseconds(1));
    }
  });
  constexpr int kUsers = 50;
  std::vector<std::atomic<int>> created(kUsers + 1);
  std::vector<std::thread> bots;
  for (int bot = 0; bot < 4; ++bot) {
    bots.emplace_back([&] {
      for (int user = 1; user <= kUsers; ++user) {
        const auto response = store().Upsert(Contact(user));
        ++answers;
        ASSERT_TRUE(response.ok()) << response.status();
        if (response->created()) ++created[user];
      }
    });
  }
  for (std::thread& bot : bots) bot.join();
  done = true;
  cutter.join();
  for (int user = 1; user <= kUsers; ++user) EXPECT_EQ(created[user], 1);
  EXPECT_EQ(Count("SELECT count(*) FROM users"), kUsers);
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
  // Bots do without look-ups.
  v1::LookupProfileRequest lookup;
  lookup.set_username("ada");
  const CallContext later{base::SteadyTime::Now() + absl::Seconds(1), {}};
  EXPECT_EQ(base::ErrorReason(store().Lookup(lookup, later).status()),
            "DATABASE_UNAVAILABLE");
  EXPECT_THAT(await(1), ElementsAre("upsert_user fails"));
  others.clear();
  EXPECT_THAT(await(2), ElementsAre("upsert_user fails", "upsert_user works"));
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
  store_.reset();
  impl_.reset();
}

// Between the look for all of them and the second one for those who were not
// there, a user comes.
TEST_F(PostgresStoreTest, ReadsABatchInOrderThoughItTakesTwoSteps) {
  database_.Execute("INSERT INTO users (user_id) SELECT generate_series(1, 4)");
  std::atomic<int> reads = 0;
  Watch(
      [&](const postgres::Statement& statement, postgres::Session&) {
        if (std::string(statement.name) != "get_profiles" || ++reads != 2)
          return;
        database_.Execute("INSERT INTO users (user_id) VALUES (5)");
      },
      nullptr);
  const auto response = store().GetMany({4, 5, 6, 1, 5});
  ASSERT_TRUE(response.ok()) << response.status();
  std::vector<std::int64_t> users;
  for (const auto& profile : response->profiles()) {
    users.push_back(profile.user_id());
  }
  EXPECT_THAT(users, ElementsAre(4, 5, 1, 5));
  EXPECT_THAT(response->missing_user_ids(), ElementsAre(6));
  EXPECT_EQ(reads, 2);
}

TEST_F(PostgresStoreTest, CountsEachUserOfABatchAgainstTheLimit) {
  options_.max_in_flight = 10;
  database_.Execute("INSERT INTO users (user_id) VALUES (1)");
  base::Mutex mutex;
  base::CondVar opened;
  bool closed = true;
  Watch(
      [&](const postgres::Statement& statement, postgres::Session&) {
        if (std::string(statement.name) != "get_profiles") return;
        base::MutexLock lock(mutex);
        while (closed) opened.Wait(mutex);
      },
      nullptr);
  store();
  std::promise<absl::Status> first;
  v1::Profile profile;
  impl_->Read({{1, 2, 3, 4, 5, 6}, [&](std::int64_t) { return &profile; }}, {},
              [&](absl::Status status) { first.set_value(status); });
  EXPECT_EQ(base::ErrorReason(store().GetMany({1, 2, 3, 4, 5}).status()),
            "OVERLOADED");
  {
    base::MutexLock lock(mutex);
    closed = false;
    opened.SignalAll();
  }
  EXPECT_TRUE(first.get_future().get().ok());
  EXPECT_TRUE(store().GetMany({1, 2, 3, 4, 5}).ok());
}

}  // namespace
}  // namespace userprofile::store
