// `migrate up` is killed while any of its statements is under way. The next run
// finishes, without anybody's help.

#include <algorithm>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/migrations.h"
#include "tests/support/postgres_proxy.h"
#include "tests/support/program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

// More than a run has.
constexpr int kMostStatements = 255;

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

TEST(KilledMigratorTest, IsKilledAtEveryStatementThatARunHas) {
  EXPECT_LE(StatementsOfARun(), kMostStatements);
  EXPECT_GT(StatementsOfARun(), 50);
}

}  // namespace
}  // namespace userprofile::testing
