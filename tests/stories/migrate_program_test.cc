// `userprofile-server migrate` as operators and Kubernetes meet it.

#include <csignal>
#include <filesystem>
#include <list>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/stories/migrations.h"
#include "tests/support/postgres_proxy.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

const int kMigrations = CountMigrations();

constexpr char kLegacyTable[] =
    "CREATE TABLE users (user_id bigint PRIMARY KEY, is_active boolean,"
    " created_at timestamp, referral text);"
    "INSERT INTO users SELECT i, NULL, now(), 'r' || i"
    " FROM generate_series(1, 3000) AS i";

// The build of an index waits for what sees the table as it was.
constexpr char kOldTransaction[] =
    "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class LIMIT 1";

Program::Options Migrate(const std::string& database,
                         std::vector<std::string> more) {
  std::vector<std::string> words = {"userprofile-server", "migrate"};
  words.insert(words.end(), more.begin(), more.end());
  words.insert(words.end(), {"--database", database});
  return {std::move(words)};
}

class MigrateProgramTest : public ::testing::Test {
 protected:
  Outcome Run(std::vector<std::string> words) const {
    return RunProgram(Migrate(database_.conninfo(), std::move(words)));
  }

  bool Holds(const std::string& condition) const {
    return database_.Execute("SELECT " + condition).Bool(0, 0);
  }

  bool Builds() const {
    return Holds(
        "count(*) > 0 FROM pg_stat_activity WHERE query LIKE"
        " '%INDEX CONCURRENTLY%' AND pid <> pg_backend_pid()");
  }

  // Eight at once, of which each shall succeed; how many migrations they
  // applied, all together.
  std::size_t AppliedByEight() const {
    std::list<Program> runners;
    for (int i = 0; i < 8; ++i) {
      runners.emplace_back(
          Migrate(database_.conninfo(), {"up", "--output", "json"}));
    }
    std::size_t applied = 0;
    for (Program& runner : runners) {
      EXPECT_EQ(runner.Wait(), 0) << runner.errors();
      applied += Json::parse(runner.output())["applied"].size();
    }
    EXPECT_EQ(Run({"verify"}).exit_code, 0);
    return applied;
  }

  TestDatabase database_;
};

TEST_F(MigrateProgramTest, LetsOneOfEightWorkOnAnEmptyDatabase) {
  EXPECT_EQ(AppliedByEight(), kMigrations);
}

TEST_F(MigrateProgramTest, LetsOneOfEightWorkOnALegacyTable) {
  database_.Execute(kLegacyTable);
  EXPECT_EQ(AppliedByEight(), kMigrations);
  EXPECT_TRUE(Holds("count(*) = 3000 FROM users WHERE is_active"));
}

TEST_F(MigrateProgramTest, LetsOneOfEightWorkOnAHalfMigratedTable) {
  database_.Execute(kLegacyTable);
  {
    const PostgresProxy proxy(database_.conninfo(), 80);
    Program killed(Migrate(proxy.conninfo(), {"up"}));
    ASSERT_TRUE(Eventually([&] { return proxy.frozen(); })) << killed.errors();
    killed.Kill();
  }
  const auto before =
      database_.Execute("SELECT count(*) FROM userprofile_migrations");
  EXPECT_GE(before.Int64(0, 0), 2);
  EXPECT_LT(before.Int64(0, 0), kMigrations);
  EXPECT_LE(AppliedByEight(), kMigrations - before.Int64(0, 0));
}

TEST_F(MigrateProgramTest, StopsTrafficNoLongerThanTheLockTimeout) {
  database_.Execute(kLegacyTable);
  const auto holder = database_.Connect();
  ASSERT_TRUE(holder->ExecuteScript("BEGIN; SELECT FROM users LIMIT 1").ok());
  Program up(Migrate(database_.conninfo(), {"up"}));
  const auto reader = database_.Connect();
  absl::Duration longest;
  EXPECT_TRUE(Eventually([&] {
    const absl::Time start = absl::Now();
    EXPECT_TRUE(reader->ExecuteScript("SELECT FROM users LIMIT 1").ok());
    longest = std::max(longest, absl::Now() - start);
    return absl::StrContains(up.errors(), "attempt 3 of");
  })) << up.errors();
  // The time-out is 200 ms; the rest is a busy machine's.
  EXPECT_GT(longest, absl::Milliseconds(50));
  EXPECT_LT(longest, absl::Milliseconds(1500));
  ASSERT_TRUE(holder->ExecuteScript("COMMIT").ok());
  EXPECT_EQ(up.Wait(), 0) << up.errors();
}

TEST_F(MigrateProgramTest, AServerEndsInTimeWhileAnIndexWaits) {
  database_.Execute(kLegacyTable);
  const auto old = database_.Connect();
  ASSERT_TRUE(old->ExecuteScript(kOldTransaction).ok());
  ServerProgram server(database_.conninfo(),
                       {"--migrate", "--drain-timeout", "2s"});
  server.Start();
  ASSERT_TRUE(Eventually([&] { return Builds(); }))
      << server.program().errors();
  const absl::Time begin = absl::Now();
  server.program().Signal(SIGTERM);
  EXPECT_EQ(server.program().Wait(absl::Seconds(30)), 0);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(4));
  EXPECT_TRUE(Eventually([&] { return !Builds(); }, absl::Seconds(10)));
  ASSERT_TRUE(old->ExecuteScript("COMMIT").ok());
  server.StartReady();
}

TEST_F(MigrateProgramTest, AServerEndsInTimeWhoseDatabaseIsFrozen) {
  PostgresProxy proxy(database_.conninfo(), 20);
  ServerProgram server(proxy.conninfo(),
                       {"--migrate", "--drain-timeout", "1s"});
  server.Start();
  ASSERT_TRUE(Eventually([&] { return proxy.frozen(); }));
  const absl::Time begin = absl::Now();
  server.program().Signal(SIGTERM);
  EXPECT_EQ(server.program().Wait(absl::Seconds(30)), 0);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(5));
}

TEST_F(MigrateProgramTest, BuildsAnIndexAnewThatAKilledRunLeftInvalid) {
  database_.Execute(kLegacyTable);
  const auto old = database_.Connect();
  ASSERT_TRUE(old->ExecuteScript(kOldTransaction).ok());
  Program up(Migrate(database_.conninfo(), {"up"}));
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(up.errors(), "waiting for old snapshots");
  })) << up.errors();
  up.Kill();
  // PostgreSQL alone neither finishes it nor goes on waiting.
  EXPECT_TRUE(Eventually([&] { return !Builds(); }, absl::Seconds(10)));
  EXPECT_TRUE(
      Holds("NOT indisvalid FROM pg_index"
            " WHERE indexrelid = 'idx_users_nickname'::regclass"));

  ASSERT_TRUE(old->ExecuteScript("COMMIT").ok());
  const Outcome outcome = Run({"up"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_TRUE(
      Holds("indisvalid FROM pg_index"
            " WHERE indexrelid = 'idx_users_nickname'::regclass"));
}

TEST_F(MigrateProgramTest, PlansWithoutChangingAnything) {
  database_.Execute(kLegacyTable);
  const Outcome text = Run({"plan"});
  EXPECT_EQ(text.exit_code, 0) << text.errors;
  EXPECT_THAT(text.output, HasSubstr("==== 008_fix_users_table_schema"));
  EXPECT_THAT(text.output, HasSubstr("lock on users: ACCESS EXCLUSIVE"));
  EXPECT_THAT(text.output, Not(HasSubstr("problem")));
  const Outcome json = Run({"plan", "--output", "json"});
  EXPECT_EQ(Json::parse(json.output)["migrations"].size(), kMigrations);
  EXPECT_TRUE(Holds("to_regclass('userprofile_migrations') IS NULL"));
}

TEST_F(MigrateProgramTest, BlocksUntilTheSchemaIsReady) {
  const Outcome in_vain = Run({"status", "--block", "--timeout", "300ms"});
  EXPECT_EQ(in_vain.exit_code, 3) << in_vain.errors;

  Program waits(Migrate(database_.conninfo(), {"status", "--block"}));
  EXPECT_TRUE(Eventually(
      [&] { return absl::StrContains(waits.errors(), "waiting: "); }));
  ASSERT_EQ(Run({"up"}).exit_code, 0);
  EXPECT_EQ(waits.Wait(), 0) << waits.errors();
  EXPECT_THAT(waits.output(), HasSubstr("applied   018_index_username"));
}

TEST_F(MigrateProgramTest, RecordsWhoAppliedWhatAndWhen) {
  ASSERT_EQ(Run({"up"}).exit_code, 0);
  const Outcome outcome = Run({"status", "--output", "json"});
  const Json migrations = Json::parse(outcome.output)["migrations"];
  ASSERT_EQ(migrations.size(), kMigrations);
  for (const Json& migration : migrations) {
    EXPECT_EQ(migration["state"], "applied");
    EXPECT_EQ(migration["role"], "userprofile");
    EXPECT_THAT(migration["tool_version"], HasSubstr("0."));
    EXPECT_GE(migration["duration_ms"], 0);
    EXPECT_LE(migration["started_at"], migration["applied_at"]);
    EXPECT_FALSE(migration["baseline"]);
  }
}

TEST_F(MigrateProgramTest, NamesAnEditedFileUntilAPersonTakesItAsItIs) {
  ASSERT_EQ(Run({"up"}).exit_code, 0);
  database_.Execute(
      "UPDATE userprofile_migrations SET sha256 = 'x' WHERE version = 9");
  for (const char* command : {"up", "verify"}) {
    const Outcome outcome = Run({command});
    EXPECT_EQ(outcome.exit_code, command == std::string("up") ? 1 : 3);
    EXPECT_THAT(outcome.output + outcome.errors,
                HasSubstr("009_add_revision was applied with other contents"));
  }
  EXPECT_EQ(Run({"baseline"}).exit_code, 0);
  EXPECT_EQ(Run({"verify"}).exit_code, 0);
  EXPECT_EQ(Run({"up"}).exit_code, 0);
}

TEST_F(MigrateProgramTest, FillsAGapOnlyWhenToldTo) {
  ASSERT_EQ(Run({"up"}).exit_code, 0);
  database_.Execute("DELETE FROM userprofile_migrations WHERE version = 9");
  EXPECT_EQ(Run({"verify"}).exit_code, 3);
  const Outcome outcome = Run({"up"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors,
              HasSubstr("009_add_revision is pending although"));
  EXPECT_TRUE(Holds(absl::StrCat("count(*) = ", kMigrations - 1,
                                 " FROM userprofile_migrations")));
  EXPECT_EQ(Run({"up", "--out-of-order"}).exit_code, 0);
  EXPECT_EQ(Run({"verify"}).exit_code, 0);
}

TEST_F(MigrateProgramTest, ServesADatabaseThatKnowsMoreAndSaysSo) {
  ASSERT_EQ(Run({"up"}).exit_code, 0);
  database_.Execute(
      "INSERT INTO userprofile_migrations (version, name, sha256)"
      " VALUES (99, 'future', 'x')");
  const Outcome verify = Run({"verify"});
  EXPECT_EQ(verify.exit_code, 0);
  EXPECT_THAT(verify.output, HasSubstr("note      099_future"));
  const Outcome up = Run({"up"});
  EXPECT_EQ(up.exit_code, 0);
  EXPECT_THAT(up.errors, HasSubstr("099_future"));

  ServerProgram server(database_.conninfo());
  server.StartReady();
  EXPECT_THAT(server.program().errors(),
              HasSubstr("a newer program applied 099_future"));
  v1::UpsertUserResponse response;
  EXPECT_TRUE(Upsert(*server.NewStub(), 1, &response).ok());
}

TEST_F(MigrateProgramTest, TakesABaselineOnlyOfASchemaThatIsAsNeeded) {
  database_.Execute(kLegacyTable);
  Outcome outcome = Run({"baseline"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.errors, HasSubstr("nothing was recorded"));
  EXPECT_TRUE(Holds("to_regclass('userprofile_migrations') IS NULL"));
  EXPECT_EQ(Run({"status", "--block", "--timeout", "10ms"}).exit_code, 3);

  ASSERT_EQ(Run({"up"}).exit_code, 0);
  database_.Execute("DROP TABLE userprofile_migrations");
  outcome = Run({"baseline", "--output", "json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_EQ(Json::parse(outcome.output)["recorded"].size(), kMigrations);
  EXPECT_EQ(Run({"verify"}).exit_code, 0);
  EXPECT_THAT(Run({"status"}).output, HasSubstr("as a baseline"));
  EXPECT_EQ(Run({"baseline"}).exit_code, 0);
}

TEST(MigrateEmbeddedTest, MakesADatabaseOnlyToMigrateIt) {
  TempDir directory;
  const std::string folder = directory / "none";
  const std::string database = absl::StrCat("embedded:", folder);
  for (const char* command : {"status", "plan", "verify", "baseline"}) {
    const Outcome outcome = RunProgram(Migrate(database, {command}));
    EXPECT_EQ(outcome.exit_code, 1) << command;
    EXPECT_THAT(outcome.errors, HasSubstr("there is no database in"));
    EXPECT_FALSE(std::filesystem::exists(folder)) << command;
  }
  EXPECT_EQ(RunProgram(Migrate(database, {"up"})).exit_code, 0);
  EXPECT_EQ(RunProgram(Migrate(database, {"verify"})).exit_code, 0);
}

TEST(MigrateEmbeddedTest, TakesTurnsWithOthersAndWithAServer) {
  TempDir directory;
  const std::string database = absl::StrCat("embedded:", directory / "db");
  std::list<Program> runners;
  for (int i = 0; i < 3; ++i) runners.emplace_back(Migrate(database, {"up"}));
  ASSERT_TRUE(Eventually(
      [&] { return std::filesystem::exists(directory / "db/lock"); }));
  Program waits(Migrate(database, {"status", "--block"}));
  ServerProgram server(database);
  server.StartReady();
  EXPECT_EQ(waits.Wait(), 0) << waits.errors();
  for (Program& runner : runners) {
    EXPECT_EQ(runner.Wait(), 0) << runner.errors();
  }
}

}  // namespace
}  // namespace userprofile::testing
