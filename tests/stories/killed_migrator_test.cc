// `migrate up` and `schema repair` are killed while any of their statements is
// under way. The next run finishes, without anybody's help.

#include <algorithm>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/postgres_proxy.h"
#include "tests/support/program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

// More than a run has.
constexpr int kMostStatements = 225;

constexpr char kLegacyTable[] = R"sql(
CREATE TABLE users (
  user_id bigint PRIMARY KEY,
  is_active boolean,
  created_at timestamp,
  first_name varchar(10),
  referral text
);
INSERT INTO users VALUES
  (101, true, '2025-10-01 08:00:00', 'Sara', 'spring'),
  (102, NULL, '2025-10-02 09:30:00', NULL, ''),
  (103, false, NULL, 'Ali', NULL))sql";

Program::Options MigrateUp(const std::string& conninfo) {
  return {{"userprofile-server", "migrate", "up", "--database", conninfo}};
}

Program::Options Repair(const std::string& conninfo) {
  return {{"userprofile-server", "schema", "repair", "--no-backup",
           "--database", conninfo}};
}

// Of a run on a database that `prepare` makes.
int StatementsOf(Program::Options (*command)(const std::string&),
                 const std::function<void(const TestDatabase&)>& prepare) {
  TestDatabase database;
  prepare(database);
  const PostgresProxy proxy(database.conninfo());
  const Outcome outcome = RunProgram(command(proxy.conninfo()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  return proxy.statements();
}

int StatementsOfARun() {
  static const int statements = StatementsOf(
      MigrateUp,
      [](const TestDatabase& database) { database.Execute(kLegacyTable); });
  return statements;
}

class KilledMigratorTest : public ::testing::TestWithParam<int> {};

TEST_P(KilledMigratorTest, LeavesWhatTheNextRunFinishes) {
  if (GetParam() > StatementsOfARun()) return;
  TestDatabase database;
  database.Execute(kLegacyTable);
  {
    const PostgresProxy proxy(database.conninfo(), GetParam());
    Program killed(MigrateUp(proxy.conninfo()));
    ASSERT_TRUE(Eventually([&] { return proxy.frozen(); })) << killed.errors();
    killed.Kill();
  }

  const Outcome outcome = RunProgram(MigrateUp(database.conninfo()));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  const auto found = database.Execute(
      "SELECT (SELECT count(*) FROM userprofile_migrations),"
      " (SELECT string_agg(concat_ws(' ', user_id, is_active, first_name,"
      "   referral, revision), ',' ORDER BY user_id) FROM users),"
      " EXISTS (SELECT FROM pg_index WHERE NOT indisvalid),"
      " EXISTS (SELECT FROM pg_constraint WHERE contype = 'c'"
      "  AND conrelid = 'users'::regclass)");
  EXPECT_EQ(found.Int64(0, 0), CountMigrations());
  EXPECT_EQ(found.Text(0, 1), "101 t Sara spring 1,102 t  1,103 f Ali 1");
  EXPECT_FALSE(found.Bool(0, 2));
  EXPECT_FALSE(found.Bool(0, 3));
}

INSTANTIATE_TEST_SUITE_P(AtStatement, KilledMigratorTest,
                         ::testing::Range(1, kMostStatements + 1));

TEST(KilledRepairTest, LeavesWhatTheNextRunFinishes) {
  const auto prepare = [](const TestDatabase& database) {
    EXPECT_EQ(RunProgram(MigrateUp(database.conninfo())).exit_code, 0);
    database.Execute(
        "INSERT INTO users (user_id) VALUES (1), (2);"
        "ALTER TABLE users ALTER is_active DROP NOT NULL;"
        "UPDATE users SET is_active = NULL WHERE user_id = 1");
  };
  const int statements = StatementsOf(Repair, prepare);
  EXPECT_GT(statements, 20);
  for (int at = 1; at <= statements; ++at) {
    SCOPED_TRACE(at);
    TestDatabase database;
    prepare(database);
    {
      const PostgresProxy proxy(database.conninfo(), at);
      Program killed(Repair(proxy.conninfo()));
      ASSERT_TRUE(Eventually([&] { return proxy.frozen(); }))
          << killed.errors();
      killed.Kill();
    }
    // Nobody who was known before is locked out by what was left.
    database.Execute("UPDATE users SET last_seen_at = now() WHERE user_id = 2");
    const Outcome outcome = RunProgram(Repair(database.conninfo()));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output << outcome.errors;
    EXPECT_EQ(database
                  .Execute("SELECT count(*) || ' ' || (SELECT count(*) FROM"
                           " pg_constraint WHERE contype = 'c'"
                           "  AND conrelid = 'users'::regclass)"
                           " FROM users WHERE is_active")
                  .Text(0, 0),
              "2 0");
  }
}

TEST(KilledMigratorTest, IsKilledAtEveryStatementThatARunHas) {
  EXPECT_LE(StatementsOfARun(), kMostStatements);
  EXPECT_GT(StatementsOfARun(), 50);
}

}  // namespace
}  // namespace userprofile::testing
