#include "server/postgres/errors.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/postgres/session.h"
#include "tests/support/test_database.h"

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::userprofile::testing::TestDatabase;

TEST(ErrorsTest, GivesEachSqlStateItsCode) {
  const std::pair<const char*, absl::StatusCode> cases[] = {
      {"23505", absl::StatusCode::kAlreadyExists},
      {"23502", absl::StatusCode::kInvalidArgument},
      {"22P05", absl::StatusCode::kInvalidArgument},
      {"54000", absl::StatusCode::kInvalidArgument},
      {"42703", absl::StatusCode::kFailedPrecondition},
      {"42P10", absl::StatusCode::kFailedPrecondition},
      {"42601", absl::StatusCode::kInternal},
      {"40001", absl::StatusCode::kAborted},
      {"40003", absl::StatusCode::kUnavailable},
      {"57014", absl::StatusCode::kAborted},
      {"57P03", absl::StatusCode::kUnavailable},
      {"25006", absl::StatusCode::kUnavailable},
      {"25P02", absl::StatusCode::kInternal},
      {"53300", absl::StatusCode::kUnavailable},
      {"0A000", absl::StatusCode::kUnimplemented},
      {"99999", absl::StatusCode::kInternal},
  };
  for (const auto& [sqlstate, code] : cases) {
    const absl::Status status = ErrorFromSqlState(sqlstate, "");
    EXPECT_EQ(status.code(), code) << sqlstate;
    EXPECT_EQ(SqlState(status), sqlstate);
  }
}

TEST(ErrorsTest, KeepsTheServersWordsButNotWhereTheyCanQuoteValues) {
  EXPECT_THAT(ErrorFromSqlState("42703", "column x does not exist\n").message(),
              HasSubstr("column x does not exist"));
  for (const char* sqlstate : {"22P02", "P0001", "99999"}) {
    EXPECT_THAT(ErrorFromSqlState(sqlstate, "\"Alice\"").message(),
                Not(HasSubstr("Alice")));
  }
}

TEST(ErrorsTest, WithoutASqlStateHaveNone) {
  EXPECT_EQ(SqlState(ConnectionLost("gone")), "");
  EXPECT_EQ(SqlState(absl::OkStatus()), "");
}

// The errors of a real server.
class ServerErrorsTest : public ::testing::Test {
 protected:
  ServerErrorsTest() : session_(database_.Connect()) {
    database_.Execute(
        "CREATE TABLE t (id bigint PRIMARY KEY, word text UNIQUE,"
        " must text NOT NULL DEFAULT '', n int CHECK (n < 10));"
        "INSERT INTO t VALUES (1, 'Alice'), (2, 'Bob')");
  }

  absl::Status Execute(const char* sql, const Parameters& parameters = {}) {
    return session_->Execute({sql, sql}, parameters).status();
  }

  TestDatabase database_;
  std::unique_ptr<Session> session_;
};

TEST_F(ServerErrorsTest, HoldNoValues) {
  const std::pair<const char*, const char*> cases[] = {
      {"INSERT INTO t VALUES (3, $1)", "23505"},
      {"INSERT INTO t VALUES (3, $1, NULL)", "23502"},
      {"INSERT INTO t VALUES (4, $1 || 'x', '', 99)", "23514"},
      {"SELECT $1::text::bigint", "22P02"},
      {"SELECT ('{' || $1)::text[]", "22P02"},
      {"DO $$ BEGIN RAISE EXCEPTION 'Alice'; END $$", "P0001"},
  };
  for (const auto& [sql, sqlstate] : cases) {
    const bool has_parameter = std::string(sql).find("$1") != std::string::npos;
    const absl::Status status =
        Execute(sql, has_parameter ? Parameters{"Alice"} : Parameters{});
    EXPECT_EQ(SqlState(status), sqlstate) << status;
    EXPECT_THAT(std::string(status.message().substr(
                    std::string(sql).size())),  // after the statement's name
                Not(HasSubstr("Alice")));
    EXPECT_TRUE(session_->healthy());
  }
}

TEST_F(ServerErrorsTest, NameWhatIsMissing) {
  const absl::Status column = Execute("SELECT first_name FROM t");
  EXPECT_EQ(column.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(SqlState(column), "42703");
  EXPECT_THAT(std::string(column.message()),
              HasSubstr("\"first_name\" does not exist"));
  EXPECT_EQ(SqlState(Execute("SELECT 1 FROM users")), "42P01");
  EXPECT_TRUE(session_->healthy());
}

TEST_F(ServerErrorsTest, KeepTheirSqlState) {
  for (const absl::string_view sqlstate :
       {"0A000", "22000", "22012", "23000", "23001", "23502", "23503", "23505",
        "23514", "24000", "25006", "26000", "28000", "3D000", "3F000", "40000",
        "40001", "40003", "40P01", "42501", "42601", "42703", "42883", "42P01",
        "42P10", "44000", "53000", "53100", "53200", "54000", "55P03", "57014",
        "58030", "P0001", "P0002", "XX000"}) {
    const absl::Status status =
        session_
            ->ExecuteScript(
                absl::StrCat("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '",
                             sqlstate, "'; END $$"))
            .status();
    EXPECT_EQ(SqlState(status), sqlstate) << status;
    if (!session_->healthy()) session_ = database_.Connect();
  }
}

TEST_F(ServerErrorsTest, OfAUniqueIndexNameIt) {
  const absl::Status status =
      Execute("INSERT INTO t VALUES (3, $1)", {"Alice"});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr("t_word_key"));
}

TEST_F(ServerErrorsTest, OfADeadlockAbortOneSide) {
  auto other = database_.Connect();
  auto lock = [](Session& session, int id) {
    return session
        .ExecuteScript(absl::StrCat("UPDATE t SET n = 1 WHERE id = ", id))
        .status();
  };
  auto begin =
      "BEGIN; SET LOCAL lock_timeout = 0; SET LOCAL deadlock_timeout = 10";
  ASSERT_TRUE(session_->ExecuteScript(begin).ok());
  ASSERT_TRUE(other->ExecuteScript(begin).ok());
  ASSERT_TRUE(lock(*session_, 1).ok());
  ASSERT_TRUE(lock(*other, 2).ok());
  absl::Status one;
  std::thread thread([&] {
    one = lock(*session_, 2);
    session_->ExecuteScript("ROLLBACK").status().IgnoreError();
  });
  const absl::Status two = lock(*other, 1);
  other->ExecuteScript("ROLLBACK").status().IgnoreError();
  thread.join();
  ASSERT_NE(one.ok(), two.ok());
  const absl::Status& victim = one.ok() ? two : one;
  EXPECT_EQ(victim.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(SqlState(victim), "40P01");
  EXPECT_TRUE(session_->healthy() && other->healthy());
}

TEST_F(ServerErrorsTest, OfASerializationFailureSayThatItMayWorkAgain) {
  ASSERT_TRUE(session_
                  ->ExecuteScript("BEGIN ISOLATION LEVEL SERIALIZABLE;"
                                  "SELECT count(*) FROM t")
                  .ok());
  database_.Execute("UPDATE t SET n = 1");
  const absl::Status status =
      session_->ExecuteScript("UPDATE t SET n = 2").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(SqlState(status), "40001");
}

TEST_F(ServerErrorsTest, OfTimeoutsSayThatItMayWorkAgain) {
  auto other = database_.Connect();
  ASSERT_TRUE(other->ExecuteScript("BEGIN; LOCK TABLE t").ok());
  ASSERT_TRUE(session_->ExecuteScript("SET lock_timeout = 10").ok());
  const absl::Status locked = Execute("SELECT 1 FROM t");
  EXPECT_EQ(locked.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(SqlState(locked), "55P03");

  ASSERT_TRUE(session_->ExecuteScript("SET statement_timeout = 10").ok());
  const absl::Status slow = Execute("SELECT pg_sleep(60)");
  EXPECT_EQ(slow.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(SqlState(slow), "57014");
  EXPECT_TRUE(session_->healthy());
}

TEST_F(ServerErrorsTest, OfACutConnectionEndTheSession) {
  ASSERT_TRUE(Execute("SELECT 1").ok());
  database_.CutConnections();
  EXPECT_EQ(Execute("SELECT 1").code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(session_->healthy());
  for (const absl::Status& status :
       {Execute("SELECT 1"), session_->ExecuteScript("SELECT 1").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_FALSE(MayHaveTakenEffect(status)) << status;  // it was not sent
  }
  session_ = database_.Connect();
  EXPECT_TRUE(Execute("SELECT 1").ok());
}

TEST_F(ServerErrorsTest, OfAStatementCutInTheMiddleEndTheSession) {
  absl::Status status;
  std::thread thread([&] { status = Execute("SELECT pg_sleep(60)"); });
  while (database_
             .Execute("SELECT 1 FROM pg_stat_activity WHERE wait_event ="
                      " 'PgSleep' AND datname = current_database()")
             .empty()) {
  }
  database_.CutConnections();
  thread.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(session_->healthy());
}

TEST_F(ServerErrorsTest, OfAServerThatIsAwayEndTheSession) {
  database_.StopServer();
  EXPECT_EQ(Execute("SELECT 1").code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(session_->healthy());
  EXPECT_EQ(database_.session_factory()().status().code(),
            absl::StatusCode::kUnavailable);
  database_.StartServer();
  session_ = database_.Connect();
  EXPECT_TRUE(Execute("SELECT 1").ok());
}

TEST_F(ServerErrorsTest, OfAReadOnlyServerEndTheSession) {
  ASSERT_TRUE(
      session_->ExecuteScript("SET transaction_read_only = on").ok() &&
      session_->ExecuteScript("SET default_transaction_read_only = on").ok());
  const absl::Status status = Execute("INSERT INTO t VALUES (9)");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(SqlState(status), "25006");
  EXPECT_FALSE(session_->healthy());
}

TEST_F(ServerErrorsTest, DoNotComeOfAnAlteredColumn) {
  ASSERT_TRUE(Execute("SELECT word FROM t").ok());
  for (const char* type : {"varchar", "text"}) {
    database_.Execute(absl::StrCat("ALTER TABLE t ALTER word TYPE ", type));
    const absl::Status status = Execute("SELECT word FROM t");
    EXPECT_TRUE(status.ok()) << status;
  }
  // Also of a statement that never succeeded.
  const char* const fails = "SELECT word, 1 / (n - n) FROM t WHERE n = 1";
  database_.Execute("UPDATE t SET n = 1");
  EXPECT_EQ(SqlState(Execute(fails)), "22012");
  database_.Execute(
      "UPDATE t SET n = 2; ALTER TABLE t ALTER word TYPE varchar");
  EXPECT_EQ(SqlState(Execute(fails)), "");
}

// A plan that is new was not stale.
TEST_F(ServerErrorsTest, OfARefusedFeatureCostOneMorePreparationOnly) {
  const auto define = [&](const char* end) {
    database_.Execute(
        absl::StrCat("CREATE OR REPLACE FUNCTION f() RETURNS int AS $$ BEGIN"
                     " PERFORM nextval('runs'); ",
                     end, "; END $$ LANGUAGE plpgsql"));
  };
  const auto run = [&] {
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(SqlState(Execute("SELECT f()")), "0A000");
    const Rows runs = database_.Execute("SELECT last_value FROM runs");
    return runs.Int64(0, 0);
  };
  database_.Execute("CREATE SEQUENCE runs");
  const char* const refuse = "RAISE EXCEPTION USING ERRCODE = '0A000'";
  define(refuse);
  EXPECT_EQ(run(), 5);
  define("RETURN 1");
  EXPECT_TRUE(Execute("SELECT f()").ok());
  define(refuse);
  EXPECT_EQ(run(), 11);
}

// Each time, and not as an outage: the next statement goes by the same session.
TEST_F(ServerErrorsTest, OfARefusedFeatureSayThatItIsNone) {
  database_.Execute(
      "CREATE RULE quiet AS ON UPDATE TO t WHERE NEW.id < 0 DO INSTEAD "
      "NOTHING");
  for (int i = 0; i < 2; ++i) {
    const absl::Status status =
        Execute("WITH c AS (UPDATE t SET n = 1 RETURNING id) SELECT * FROM c");
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
    EXPECT_FALSE(MayHaveTakenEffect(status));
    EXPECT_TRUE(session_->healthy());
  }
}

TEST(ErrorsTest, SayWhetherAStatementMayHaveTakenEffect) {
  for (const char* sqlstate : {"40003", "57P01", "08006"}) {
    EXPECT_TRUE(MayHaveTakenEffect(ErrorFromSqlState(sqlstate, "")));
  }
  EXPECT_TRUE(MayHaveTakenEffect(ConnectionLost("gone")));
  EXPECT_FALSE(MayHaveTakenEffect(NotSent("gone")));
  for (const char* sqlstate : {"53100", "53300", "25006", "26000", "58030",
                               "0A000", "23505", "40001"}) {
    EXPECT_FALSE(MayHaveTakenEffect(ErrorFromSqlState(sqlstate, "")));
  }
}

}  // namespace
}  // namespace userprofile::postgres
