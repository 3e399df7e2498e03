#include "server/postgres/session.h"

#include <signal.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "server/postgres/watchdog.h"
#include "tests/support/postgres_proxy.h"
#include "tests/support/test_database.h"

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::userprofile::testing::PostgresProxy;
using ::userprofile::testing::TestDatabase;

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() : session_(database_.Connect()) {}

  std::string Value(const std::string& sql) {
    const absl::StatusOr<Rows> rows = session_->ExecuteScript(sql);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() && !rows->empty() ? std::string(rows->Text(0, 0)) : "";
  }

  TestDatabase database_;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, ReadsValuesOfEveryKind) {
  const absl::StatusOr<Rows> rows = session_->ExecuteScript(
      "VALUES (9007199254740993, 0.1::float8, true, 'a', NULL),"
      " (-1, 'Infinity', false, '', NULL), (0, '-Infinity', NULL, NULL, NULL)");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 3);
  EXPECT_EQ(rows->Int64(0, 0), 9007199254740993);
  EXPECT_EQ(rows->Double(0, 1), 0.1);
  EXPECT_TRUE(rows->Bool(0, 2));
  EXPECT_EQ(rows->Text(0, 3), "a");
  EXPECT_EQ(rows->Int64(1, 0), -1);
  EXPECT_EQ(rows->Double(1, 1), std::numeric_limits<double>::infinity());
  EXPECT_FALSE(rows->Bool(1, 2));
  EXPECT_EQ(rows->Text(1, 3), "");
  EXPECT_FALSE(rows->IsNull(1, 3));
  EXPECT_EQ(rows->Double(2, 1), -std::numeric_limits<double>::infinity());
}

TEST_F(SessionTest, TellsNullFromEverythingElse) {
  const absl::StatusOr<Rows> rows =
      session_->Execute({"nulls", "SELECT $1::text, $2::bigint, $3::text"},
                        {absl::nullopt, absl::nullopt, ""});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_TRUE(rows->IsNull(0, 0));
  EXPECT_EQ(rows->Text(0, 0), "");
  EXPECT_EQ(rows->Int64(0, 1), 0);
  EXPECT_EQ(rows->Double(0, 1), 0);
  EXPECT_FALSE(rows->Bool(0, 0));
  EXPECT_FALSE(rows->IsNull(0, 2));
}

TEST_F(SessionTest, KeepsRowsAfterTheSessionIsGone) {
  absl::string_view text;
  Rows copy;
  {
    const absl::StatusOr<Rows> rows =
        session_->ExecuteScript("SELECT repeat('long ', 20)");
    ASSERT_TRUE(rows.ok());
    copy = *rows;
    text = rows->Text(0, 0);
  }
  session_.reset();
  EXPECT_EQ(text.size(), 100);
}

TEST_F(SessionTest, CountsTheRowsThatAStatementWrote) {
  ASSERT_TRUE(session_->ExecuteScript("CREATE TABLE t (n int)").ok());
  const absl::StatusOr<Rows> rows = session_->Execute(
      {"insert", "INSERT INTO t SELECT generate_series(1, 3)"}, {});
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->affected(), 3);
  EXPECT_TRUE(rows->empty());
}

TEST_F(SessionTest, PreparesAStatementOnce) {
  const Statement statement{"once", "SELECT $1::int"};
  for (const char* value : {"1", "2", "3"}) {
    EXPECT_EQ(session_->Execute(statement, {value})->Text(0, 0), value);
  }
  EXPECT_EQ(Value("SELECT generic_plans + custom_plans FROM"
                  " pg_prepared_statements WHERE name = 'once'"),
            "3");
}

TEST_F(SessionTest, TriesAgainToPrepareWhatFailed) {
  const Statement statement{"late", "SELECT n FROM t"};
  EXPECT_EQ(SqlState(session_->Execute(statement, {}).status()), "42P01");
  ASSERT_TRUE(session_->ExecuteScript("CREATE TABLE t (n int)").ok());
  EXPECT_TRUE(session_->Execute(statement, {}).ok());
}

TEST_F(SessionTest, RefusesNulBytes) {
  const std::string nul("a\0b", 3);
  const absl::Status parameter =
      session_->Execute({"nul", "SELECT $1::text"}, {nul}).status();
  EXPECT_EQ(parameter.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(session_->ExecuteScript(nul).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(session_->healthy());
}

TEST_F(SessionTest, NamesTheStatementInErrors) {
  const absl::Status status =
      session_->Execute({"find_user", "SELECT 1 FROM users"}, {}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("find_user: "));
}

TEST_F(SessionTest, GivesUpAConnectionThatIsFrozen) {
  ConnectOptions options;
  options.conninfo = database_.conninfo();
  options.watchdog = std::make_shared<Watchdog>();
  options.answer_timeout = absl::Seconds(1);
  auto session = Connect(options);
  ASSERT_TRUE(session.ok()) << session.status();
  const auto rows = (*session)->ExecuteScript("SELECT pg_backend_pid()");
  ASSERT_TRUE(rows.ok()) << rows.status();
  const auto backend = static_cast<pid_t>(rows->Int64(0, 0));

  ASSERT_EQ(kill(backend, SIGSTOP), 0);
  EXPECT_EQ((*session)->ExecuteScript("SELECT 1").status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_FALSE((*session)->healthy());
  kill(backend, SIGCONT);
}

TEST_F(SessionTest, GivesUpNoConnectionBetweenStatements) {
  ConnectOptions options;
  options.conninfo = database_.conninfo();
  options.watchdog = std::make_shared<Watchdog>();
  options.answer_timeout = absl::Milliseconds(500);
  auto session = Connect(options);
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE((*session)->ExecuteScript("SELECT 1").ok());
  // Another one's statement takes longer than that.
  ASSERT_TRUE(session_->ExecuteScript("SELECT pg_sleep(0.7)").ok());
  EXPECT_TRUE((*session)->ExecuteScript("SELECT 1").ok());
}

TEST_F(SessionTest, RunsScriptsOfSeveralStatements) {
  EXPECT_EQ(Value("CREATE TABLE t (n int); INSERT INTO t VALUES (7);"
                  "SELECT n FROM t"),
            "7");
}

TEST_F(SessionTest, HoldsItsSettingsWhateverTheRolesAre) {
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit ="
      " off', current_database()); EXECUTE format('ALTER DATABASE %I SET"
      " timezone = ''Asia/Tehran''', current_database()); EXECUTE"
      " format('ALTER DATABASE %I SET datestyle = ''SQL, DMY''',"
      " current_database()); EXECUTE format('ALTER DATABASE %I SET"
      " extra_float_digits = 0', current_database()); END $$");
  session_ = database_.Connect();
  EXPECT_EQ(Value("SHOW synchronous_commit"), "on");
  EXPECT_EQ(Value("SELECT '2026-01-02 03:04:05.678901+00'::timestamptz"),
            "2026-01-02 03:04:05.678901+00");
  EXPECT_EQ(Value("SELECT 0.1::float8 + 0.2::float8"), "0.30000000000000004");
}

TEST_F(SessionTest, UnderstandsSqlAsItIsMeantWhateverTheDatabaseIsSetTo) {
  database_.Execute(
      "DO $$ DECLARE setting text; BEGIN FOREACH setting IN ARRAY ARRAY["
      " 'standard_conforming_strings = off', 'array_nulls = off',"
      " 'quote_all_identifiers = on', 'escape_string_warning = off'] LOOP"
      " EXECUTE format('ALTER DATABASE %I SET %s', current_database(), "
      "setting);"
      " END LOOP; END $$");
  session_ = database_.Connect();
  EXPECT_EQ(Value("SELECT length('\\S')"), "2");
  EXPECT_EQ(Value("SELECT ('{NULL}'::text[])[1] IS NULL"), "t");
  EXPECT_EQ(Value("SELECT quote_ident('user_id')"), "user_id");
}

TEST_F(SessionTest, KeepsAStrongerSynchronousCommit) {
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit ="
      " remote_apply', current_database()); END $$");
  session_ = database_.Connect();
  EXPECT_EQ(Value("SHOW synchronous_commit"), "remote_apply");
}

TEST_F(SessionTest, IsRefusedByAReadOnlyDatabase) {
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET"
      " default_transaction_read_only = on', current_database()); END $$");
  EXPECT_EQ(database_.session_factory()().status().code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(SessionTest, IsAtTheIsolationThatItsStatementsAreWrittenFor) {
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET"
      " default_transaction_isolation = serializable', current_database());"
      " END $$");
  session_ = database_.Connect();
  EXPECT_EQ(Value("SHOW transaction_isolation"), "read committed");
}

class TablesTest : public SessionTest {
 protected:
  // With this search path configured.
  std::unique_ptr<Session> With(const std::string& path) {
    ConnectOptions options;
    options.conninfo =
        absl::StrCat(database_.conninfo(), " options='-csearch_path=",
                     absl::StrReplaceAll(path, {{"'", "\\'"}}), "'");
    return std::move(*Connect(options));
  }
};

TEST_F(TablesTest, AreFoundAlthoughTheSearchPathIsSafe) {
  database_.Execute(
      "CREATE SCHEMA a; CREATE SCHEMA \"It's\"; CREATE SCHEMA c;"
      "CREATE TABLE c.users (n int); INSERT INTO c.users VALUES (3)");
  const auto session = With("nowhere,a,\"It's\",c,pg_catalog");
  const auto path = [&] {
    return std::string(session->ExecuteScript("SHOW search_path")->Text(0, 0));
  };
  EXPECT_EQ(path(), "pg_catalog, pg_temp");
  EXPECT_EQ(*session->FindTables(), "c");
  EXPECT_EQ(path(), "pg_catalog, pg_temp");
  const Statement read = {"read", "SELECT n, :'users'::regclass FROM :users"};
  EXPECT_EQ(session->Execute(read, {})->Text(0, 1), "c.users");

  // What is created later is found once somebody looks; what is gone, at once.
  database_.Execute("CREATE TABLE \"It's\".users (n int)");
  EXPECT_EQ(session->Execute(read, {})->size(), 1);
  EXPECT_EQ(*session->FindTables(), "\"It's\"");
  EXPECT_EQ(session->Execute(read, {})->size(), 0);
  database_.Execute("DROP TABLE \"It's\".users");
  EXPECT_EQ(SqlState(session->Execute(read, {}).status()), "42P01");
  EXPECT_EQ(session->Execute(read, {})->Text(0, 1), "c.users");

  // Then a history shows where they were; then where new ones would go.
  database_.Execute(
      "DROP TABLE c.users; CREATE TABLE c.userprofile_migrations (n int)");
  EXPECT_EQ(*session->FindTables(), "c");
  database_.Execute("DROP TABLE c.userprofile_migrations");
  EXPECT_EQ(*session->FindTables(), "a");
  EXPECT_EQ(*With("nowhere")->FindTables(), "");
}

TEST_F(TablesTest, AreFoundInATransactionThatIsRolledBack) {
  const auto session = With("public");
  ASSERT_TRUE(
      session->ExecuteScript("BEGIN; CREATE TABLE public.users ()").ok());
  EXPECT_EQ(*session->FindTables(), "public");
  ASSERT_TRUE(session->ExecuteScript("ROLLBACK").ok());
  EXPECT_EQ(session->ExecuteScript("SHOW search_path")->Text(0, 0),
            "pg_catalog, pg_temp");
}

TEST_F(SessionTest, CommitsSeveralStatementsTogether) {
  const absl::Status status = InTransaction(*session_, [&]() -> absl::Status {
    EXPECT_TRUE(session_->ExecuteScript("CREATE TABLE t (n int)").ok());
    EXPECT_TRUE(session_->Execute({"i", "INSERT INTO t VALUES (1)"}, {}).ok());
    EXPECT_TRUE(session_->Execute({"i", "INSERT INTO t VALUES (1)"}, {}).ok());
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(database_.Execute("SELECT n FROM t").size(), 2);
}

TEST_F(SessionTest, RollsBackATransactionThatFails) {
  ASSERT_TRUE(session_->ExecuteScript("CREATE TABLE t (n int)").ok());
  const absl::Status status = InTransaction(*session_, [&]() -> absl::Status {
    // The first use of a prepared statement, and a later one.
    EXPECT_TRUE(session_->Execute({"i", "INSERT INTO t VALUES (1)"}, {}).ok());
    EXPECT_TRUE(session_->Execute({"i", "INSERT INTO t VALUES (1)"}, {}).ok());
    return absl::CancelledError("enough");
  });
  EXPECT_EQ(status.message(), "enough");
  EXPECT_TRUE(database_.Execute("SELECT n FROM t").empty());
  EXPECT_EQ(Value("SELECT count(*) FROM t"), "0");
}

TEST_F(SessionTest, DoesNotTakeAFailedTransactionForACommit) {
  ASSERT_TRUE(session_->ExecuteScript("CREATE TABLE t (n int)").ok());
  const absl::Status status = InTransaction(*session_, [&]() -> absl::Status {
    EXPECT_TRUE(session_->ExecuteScript("INSERT INTO t VALUES (1)").ok());
    EXPECT_FALSE(session_->ExecuteScript("SELECT 1/0").ok());
    return absl::OkStatus();
  });
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(Value("SELECT count(*) FROM t"), "0");
}

TEST_F(SessionTest, LosesATransactionWithItsConnection) {
  ASSERT_TRUE(session_->ExecuteScript("CREATE TABLE t (n int)").ok());
  const absl::Status status = InTransaction(*session_, [&]() -> absl::Status {
    EXPECT_TRUE(session_->ExecuteScript("INSERT INTO t VALUES (1)").ok());
    database_.CutConnections();
    return session_->ExecuteScript("INSERT INTO t VALUES (2)").status();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(database_.Execute("SELECT n FROM t").empty());
}

// A server says that it ends a session, and closes the socket a moment later:
// in between, a write must not go out.
TEST_F(SessionTest, NoticesThatItWasEndedBeforeItsSocketIsClosed) {
  PostgresProxy proxy(database_.conninfo());
  ConnectOptions options;
  options.conninfo = proxy.conninfo();
  const auto session = Connect(options);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE((*session)->healthy());
  proxy.HoldClosing();
  database_.CutConnections();
  const absl::Time limit = absl::Now() + absl::Seconds(20);
  while ((*session)->healthy()) ASSERT_LT(absl::Now(), limit);
}

TEST_F(SessionTest, ReportsADatabaseThatIsNotThereAsUnavailable) {
  ConnectOptions options;
  options.conninfo = "host=/nonexistent password=secret dbname=x";
  const absl::Status status = Connect(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));

  options.conninfo = absl::StrCat(database_.conninfo(), " dbname=missing");
  EXPECT_EQ(Connect(options).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SessionTest, RefusesAConnectionStringThatCannotBeRead) {
  ConnectOptions options;
  options.conninfo = "host=h secret";
  const absl::Status status = Connect(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
}

TEST_F(SessionTest, FindsTheServerThatIsThereAmongSeveralHosts) {
  ConnectOptions options;
  options.conninfo = database_.conninfo();
  options.conninfo.replace(options.conninfo.find("host="), 5,
                           "host=/nonexistent,");
  EXPECT_TRUE(Connect(options).ok());
}

TEST_F(SessionTest, SpeaksUtf8WhateverTheDatabaseDoes) {
  ConnectOptions options;
  options.conninfo = database_.conninfo() + " client_encoding=LATIN1";
  const auto session = Connect(options);
  ASSERT_TRUE(session.ok()) << session.status();
  const auto rows = (*session)->ExecuteScript("SELECT chr(1587)");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->Text(0, 0), "\u0633");
}

TEST_F(SessionTest, IsLostOnlyIfTheConnectionIs) {
  EXPECT_FALSE(session_->lost());
  database_.CutConnections();
  const absl::Time limit = absl::Now() + absl::Seconds(20);
  while (!session_->lost() && absl::Now() < limit) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_TRUE(session_->lost());
  EXPECT_FALSE(session_->healthy());
}

TEST_F(SessionTest, CanBeInterruptedAndPostgresGivesUpWithIt) {
  ConnectOptions options;
  options.conninfo = database_.conninfo();
  options.statement_timeout = absl::ZeroDuration();
  options.watchdog = std::make_shared<Watchdog>();
  auto waits = Connect(options);
  ASSERT_TRUE(waits.ok()) << waits.status();
  const auto running = [this] {
    return Value(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT"
        " pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()");
  };
  const auto await = [&](const std::string& count) {
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (running() != count && absl::Now() < limit) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    EXPECT_EQ(running(), count);
  };
  absl::Status status;
  std::thread statement([&] {
    status = (*waits)->ExecuteScript("SELECT pg_sleep(600)").status();
  });
  await("1");
  options.watchdog->InterruptAt(base::SteadyTime::Now());
  statement.join();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(absl::IsUnavailable(Connect(options).status()));
  await("0");
}

}  // namespace
}  // namespace userprofile::postgres
