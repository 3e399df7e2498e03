// What PostgresStore does with the sessions of bots beside what every store
// does.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "server/store/statements.h"
#include "server/store/testing/postgres_store_fixture.h"
#include "server/store/trimmer.h"

namespace userprofile::store {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class BotSessionsTest : public PostgresStoreTest {
 protected:
  static v1::PutSessionRequest Put(const std::string& key,
                                   const std::string& value) {
    v1::PutSessionRequest request;
    request.mutable_session()->set_bot("shop");
    request.mutable_session()->set_key(key);
    request.mutable_session()->set_value(value);
    return request;
  }

  static v1::GetSessionRequest Get(const std::string& key) {
    v1::GetSessionRequest request;
    request.set_bot("shop");
    request.set_key(key);
    return request;
  }

  static v1::DeleteSessionRequest Delete(const std::string& key) {
    v1::DeleteSessionRequest request;
    request.set_bot("shop");
    request.set_key(key);
    return request;
  }

  static v1::DeleteUserRequest DeleteUser(std::int64_t user_id) {
    v1::DeleteUserRequest request;
    request.set_user_id(user_id);
    return request;
  }

  void AwaitCount(std::int64_t count) {
    const base::SteadyTime limit = base::SteadyTime::Now() + absl::Seconds(20);
    while (Count("SELECT count(*) FROM userprofile_sessions") != count) {
      ASSERT_TRUE(base::SteadyTime::Now() < limit);
    }
  }
};

TEST_F(BotSessionsTest, LosesNoUpdateOfManyWhoExpectARevision) {
  constexpr int kThreads = 8;
  constexpr int kUpdates = 20;
  PostgresStore one(options_);
  PostgresStore other(options_);
  std::atomic<int> mismatches = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      BlockingStore store(i % 2 == 0 ? one : other);
      for (int done = 0; done < kUpdates;) {
        const auto got = store.GetSession(Get("counter"));
        EXPECT_TRUE(got.ok() || absl::IsNotFound(got.status())) << got.status();
        int value = 0;
        std::int64_t revision = 0;
        if (got.ok()) {
          EXPECT_TRUE(absl::SimpleAtoi(got->session().value(), &value));
          revision = got->session().revision();
        }
        auto request = Put("counter", absl::StrCat(value + 1));
        request.set_expected_revision(revision);
        const auto put = store.PutSession(request);
        if (put.ok()) {
          ++done;
        } else {
          ASSERT_TRUE(absl::IsAborted(put.status())) << put.status();
          ++mismatches;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto got = store().GetSession(Get("counter"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->session().value(), absl::StrCat(kThreads * kUpdates));
  EXPECT_GT(mismatches, 0);
}

TEST_F(BotSessionsTest, ManyShareAStatement) {
  std::atomic<int> statements = 0;
  Watch(
      [&](const postgres::Statement& statement, postgres::Session&) {
        statements += absl::StrContains(statement.name, "_sessions");
      },
      nullptr);
  constexpr int kSessions = 500;
  std::vector<v1::PutSessionRequest> requests;
  for (int i = 0; i < kSessions; ++i) {
    requests.push_back(Put(absl::StrCat(i), "1"));
  }
  for (const char* round : {"created", "overwritten"}) {
    statements = 0;
    for (const auto& response : store().PutSessions(requests)) {
      ASSERT_TRUE(response.ok()) << response.status();
    }
    EXPECT_LT(statements, kSessions / 4) << round;
  }
}

// One of 64 KiB counts as 65, and a statement holds 256.
TEST_F(BotSessionsTest, FewOfTheLargestShareAStatement) {
  std::atomic<int> statements = 0;
  Watch(
      [&](const postgres::Statement& statement, postgres::Session&) {
        statements += statement.name == kInsertSessions.name;
      },
      nullptr);
  std::vector<v1::PutSessionRequest> requests;
  for (int i = 0; i < 40; ++i) {
    requests.push_back(Put(absl::StrCat(i), std::string(65536, 'x')));
  }
  for (const auto& response : store().PutSessions(requests)) {
    ASSERT_TRUE(response.ok()) << response.status();
  }
  EXPECT_GE(statements, 40 / 3);
}

TEST_F(BotSessionsTest, WritesSessionsInOneOrderSoThatBatchesCannotDeadlock) {
  FindDeadlocks();
  std::vector<std::thread> replicas;
  for (int replica = 0; replica < 3; ++replica) {
    replicas.emplace_back([this, replica] {
      PostgresStore impl(options_);
      BlockingStore store(impl);
      std::mt19937 random(replica);
      std::vector<v1::PutSessionRequest> requests;
      for (int i = 1; i <= 60; ++i) {
        requests.push_back(Put(absl::StrCat(i % 2 == 0 ? "A" : "a", i), "1"));
        requests.back().mutable_session()->set_user_id(i % 5 + 1);
      }
      for (int round = 0; round < 10; ++round) {
        std::shuffle(requests.begin(), requests.end(), random);
        for (const auto& response : store.PutSessions(requests)) {
          EXPECT_TRUE(response.ok()) << response.status();
        }
        // Users take theirs along, in the same order.
        const std::int64_t user = round % 5 + 1;
        EXPECT_TRUE(store.Upsert(Contact(user)).ok());
        auto whom = DeleteUser(user);
        whom.set_allow_missing(true);
        const auto deleted = store.Delete(whom);
        EXPECT_TRUE(deleted.ok()) << deleted.status();
      }
    });
  }
  for (std::thread& replica : replicas) replica.join();
  EXPECT_EQ(CountDeadlocks(), 0);
}

// Between the look for a session and the attempt to insert it, another server
// is faster.
TEST_F(BotSessionsTest, GivesWhatIsNewOneEffectThoughItTakesTwoSteps) {
  std::atomic<bool> once = false;
  Watch(
      [&](const postgres::Statement& statement, postgres::Session&) {
        if (std::string(statement.name) != "insert_sessions") return;
        if (once.exchange(true)) return;
        database_.Execute(
            "INSERT INTO userprofile_sessions (bot, key, value, revision, "
            "updated_at) SELECT 'shop', key, '', 5, now() FROM "
            "unnest('{a,b}'::text[]) AS key");
      },
      nullptr);
  auto expecting = Put("a", "no");
  expecting.set_expected_revision(0);
  const auto responses = store().PutSessions({expecting, Put("b", "yes")});
  EXPECT_TRUE(absl::IsAborted(responses[0].status())) << responses[0].status();
  ASSERT_TRUE(responses[1].ok()) << responses[1].status();
  EXPECT_GT(responses[1]->revision(), 5);
  EXPECT_EQ(store().GetSession(Get("b"))->session().value(), "yes");
}

TEST_F(BotSessionsTest, GoesOnAfterConnectionsAreCut) {
  for (int round = 1; round <= 3; ++round) {
    const auto put = store().PutSession(Put("a", absl::StrCat(round)));
    ASSERT_TRUE(put.ok()) << put.status();
    database_.CutConnections();
    const auto got = store().GetSession(Get("a"));
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->session().value(), absl::StrCat(round));
    EXPECT_EQ(got->session().revision(), put->revision());
    database_.CutConnections();
  }
}

TEST_F(BotSessionsTest, TrimsThoseThatHaveExpiredInBatches) {
  database_.Execute(
      "INSERT INTO userprofile_sessions (bot, key, value, revision, updated_at,"
      " expires_at) SELECT 'shop', n, '', 1, now(), CASE WHEN n <= 2500 THEN"
      " now() - interval '1 second' WHEN n <= 2600 THEN now() + interval '1 "
      "hour' END FROM generate_series(1, 2700) AS n");
  TrimmerOptions options;
  options.interval = absl::Milliseconds(10);
  Trimmer trimmer(database_.session_factory(), options);
  AwaitCount(200);
  ASSERT_TRUE(store().GetSession(Get("2501")).ok());
  ASSERT_TRUE(store().GetSession(Get("2700")).ok());
}

TEST_F(BotSessionsTest, TrimsNoneWhileTheirTableIsNotKnownToBeRight) {
  database_.Execute(
      "INSERT INTO userprofile_sessions (bot, key, value, revision, updated_at,"
      " expires_at) VALUES ('shop', 'a', '', 1, now(), now())");
  std::atomic<bool> is_right = false;
  std::atomic<int> asked = 0;
  TrimmerOptions options;
  options.interval = absl::Milliseconds(1);
  options.may_use_sessions = [&] {
    ++asked;
    return is_right.load();
  };
  Trimmer trimmer(database_.session_factory(), options);
  const base::SteadyTime limit = base::SteadyTime::Now() + absl::Seconds(20);
  while (asked < 3) ASSERT_TRUE(base::SteadyTime::Now() < limit);
  EXPECT_EQ(Count("SELECT count(*) FROM userprofile_sessions"), 1);
  is_right = true;
  AwaitCount(0);
}

TEST_F(BotSessionsTest, WhereTheirTableIsNotRightAllElseGoesOn) {
  std::atomic<bool> is_right = false;
  options_.may_use_sessions = [&] { return is_right.load(); };
  const auto statuses = [&] {
    return std::vector<absl::Status>{
        store().PutSession(Put("a", "1")).status(),
        store().GetSession(Get("a")).status(),
        store().DeleteSession(Delete("a")).status(),
        store().Delete(DeleteUser(1)).status()};
  };
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  for (const absl::Status& status : statuses()) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_EQ(base::ErrorReason(status), "SCHEMA_NOT_READY");
  }
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
  EXPECT_TRUE(store().Complete(Answers(1)).ok());
  EXPECT_TRUE(store().Get(1).ok());
  is_right = true;
  for (const absl::Status& status : statuses()) EXPECT_TRUE(status.ok());
}

// Before anybody looked at the schema again.
TEST_F(BotSessionsTest, SaysThatTheirTableIsGoneAndFindsTheNextOne) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().PutSession(Put("a", "1")).ok());
  database_.Execute("ALTER TABLE userprofile_sessions RENAME TO elsewhere");
  for (const absl::Status& status : {
           store().PutSession(Put("a", "2")).status(),
           store().GetSession(Get("a")).status(),
           store().Delete(DeleteUser(1)).status(),
       }) {
    EXPECT_EQ(base::ErrorReason(status), "SCHEMA_NOT_READY") << status;
  }
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
  database_.Execute("ALTER TABLE elsewhere RENAME TO userprofile_sessions");
  const auto got = store().GetSession(Get("a"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->session().value(), "1");
  EXPECT_TRUE(store().Delete(DeleteUser(1)).ok());
}

// Whatever the size of the table that a plan was made for.
TEST_F(BotSessionsTest, AreFoundByIndexes) {
  constexpr char kByKey[] =
      R"(Index Cond: \(\(bot = \w+\.bot\) AND \(key = \w+\.key\)\))";
  constexpr char kByRow[] =
      R"(Index Cond: \(\(bot = ANY \(ARRAY\[\w+\.bot\]\)\) )"
      R"(AND \(key >= \w+\.key\) AND \(key <= \w+\.key\)\))";
  const struct {
    const postgres::Statement& statement;
    const char* parameters;
    std::vector<const char*> looks_up;
  } kCases[] = {
      {kGetSessions, "'{}', '{}'", {kByKey}},
      {kWriteSessions,
       "'{}', '{}', '{}', '{}', '{}', '{}', now()",
       {kByKey, kByRow}},
      {kInsertSessions, "'{}', '{}', '{}', '{}', '{}', '{}', now()", {}},
      {kTrimSessions,
       "1000",
       {"using userprofile_sessions_expires_at_idx", kByRow}},
      {kDeleteUsers,
       "'{}', '{}', '{}'",
       {"using userprofile_sessions_user_id_idx", R"(Index Cond: \(user_id = )",
        kByKey, kByRow}},
  };
  for (const int sessions : {0, 1, 3, 1000}) {
    database_.Execute("TRUNCATE userprofile_sessions");
    database_.Execute(absl::StrCat(
        "INSERT INTO userprofile_sessions (bot, key, value, revision, "
        "updated_at, expires_at, user_id) SELECT 'shop', n, '', 1, now(), CASE "
        "WHEN n % 2 = 0 THEN now() END, CASE WHEN n % 3 = 0 THEN n END FROM "
        "generate_series(1, ",
        sessions, ") AS n"));
    database_.Execute("VACUUM ANALYZE userprofile_sessions");
    for (const auto& one : kCases) {
      const auto session = database_.Connect();
      const auto plan = session->ExecuteScript(absl::StrCat(
          "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;"
          "PREPARE s AS ",
          one.statement.sql, "; EXPLAIN EXECUTE s (", one.parameters, ")"));
      ASSERT_TRUE(plan.ok()) << plan.status();
      std::string text;
      for (std::size_t row = 0; row < plan->size(); ++row) {
        absl::StrAppend(&text, plan->Text(row, 0), "\n");
      }
      EXPECT_THAT(text, Not(HasSubstr("Seq Scan")))
          << sessions << ", " << one.statement.name;
      for (const char* look_up : one.looks_up) {
        EXPECT_THAT(text, ContainsRegex(look_up))
            << sessions << ", " << one.statement.name;
      }
    }
  }
}

}  // namespace
}  // namespace userprofile::store
