// `schema repair` is killed while any of its statements is under way. The next
// run finishes, without anybody's help.

#include <string>

#include "gtest/gtest.h"
#include "tests/stories/migrations.h"
#include "tests/support/postgres_proxy.h"
#include "tests/support/program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

Program::Options Repair(const std::string& conninfo) {
  return {{"userprofile-server", "schema", "repair", "--no-backup",
           "--database", conninfo}};
}

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

}  // namespace
}  // namespace userprofile::testing
