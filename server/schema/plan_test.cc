#include "server/schema/plan.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/schema/damages_testing.h"
#include "server/schema/history.h"
#include "server/schema/migrator.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Migrations = std::vector<migrations::Migration>;

// Of the migrations that follow those of this program, on a migrated table.
class PlanTest : public ::testing::Test {
 protected:
  void MigrateLegacyTable() {
    CreateLegacyTable(database_);
    const auto result = Migrate(database_.session_factory());
    ASSERT_TRUE(result.ok()) << result.status();
  }

  Plan PlanFor(const Migrations& more) {
    Migrations all(migrations::Embedded().begin(),
                   migrations::Embedded().end());
    all.insert(all.end(), more.begin(), more.end());
    auto plan = MakePlan(database_.session_factory(), all);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : Plan();
  }

  PlannedStatement PlanForStatement(const char* sql) {
    const Plan plan = PlanFor({{18, "new", "x", sql}});
    return plan.migrations.at(0).statements.at(0);
  }

  testing::TestDatabase database_;
};

TEST_F(PlanTest, TellsTheLockOfEachStatementAndWhetherItRewrites) {
  MigrateLegacyTable();
  struct Case {
    const char* sql;
    const char* lock;
    bool rewrites;
  };
  for (const Case& c : std::vector<Case>{
           {"SELECT 1", "", false},
           {"SELECT count(*) FROM users", "ACCESS SHARE", false},
           {"UPDATE users SET phone = phone", "ROW EXCLUSIVE", false},
           {"ALTER TABLE users ADD extra integer DEFAULT 7", "ACCESS EXCLUSIVE",
            false},
           {"ALTER TABLE users ADD extra float DEFAULT random()",
            "ACCESS EXCLUSIVE", true},
           {"ALTER TABLE users ALTER user_id TYPE numeric", "ACCESS EXCLUSIVE",
            true},
           {"ALTER TABLE users ALTER username TYPE text", "ACCESS EXCLUSIVE",
            false},
           {"ALTER TABLE users SET (fillfactor = 50)", "SHARE UPDATE EXCLUSIVE",
            false},
           {"CREATE INDEX ON users (phone)", "SHARE", false},
           {"DO $$ BEGIN ALTER TABLE users DROP phone; END $$",
            "ACCESS EXCLUSIVE", false},
       }) {
    const PlannedStatement planned = PlanForStatement(c.sql);
    EXPECT_EQ(planned.lock, c.lock) << c.sql;
    EXPECT_EQ(planned.rewrites_table, c.rewrites) << c.sql;
    EXPECT_EQ(planned.problem, "") << c.sql;
  }
}

TEST_F(PlanTest, TellsEachStatementsOwnLockAfterAStrongerOne) {
  MigrateLegacyTable();
  const Plan plan =
      PlanFor({{18, "new", "x",
                "ALTER TABLE users ADD extra integer;"
                "UPDATE users SET extra = 1;"
                "ALTER TABLE users ALTER extra SET NOT NULL;"
                "SELECT extra FROM users"},
               {19, "fill", "y",
                "UPDATE users SET extra = 2 WHERE user_id > $1 AND user_id "
                "<= $2",
                migrations::Kind::kBatches},
               {20, "index", "z",
                "CREATE INDEX CONCURRENTLY idx_users_extra ON users (extra)",
                migrations::Kind::kIndex, "idx_users_extra"}});
  ASSERT_EQ(plan.migrations.size(), 3u);
  std::vector<std::string> locks;
  for (const PlannedMigration& migration : plan.migrations) {
    for (const PlannedStatement& statement : migration.statements) {
      locks.push_back(statement.lock);
      EXPECT_EQ(statement.problem, "") << statement.sql;
    }
  }
  EXPECT_THAT(
      locks, ::testing::ElementsAre("ACCESS EXCLUSIVE", "ROW EXCLUSIVE",
                                    "ACCESS EXCLUSIVE", "ACCESS SHARE",
                                    "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE"));
}

TEST_F(PlanTest, TellsWhatAnEmptyALegacyAndAMigratedDatabaseNeed) {
  Plan plan = PlanFor({});
  EXPECT_EQ(plan.migrations.size(), migrations::Embedded().size());
  for (const PlannedMigration& migration : plan.migrations) {
    for (const PlannedStatement& statement : migration.statements) {
      EXPECT_EQ(statement.problem, "") << statement.sql;
      EXPECT_FALSE(statement.rewrites_table) << statement.sql;
    }
  }
  CreateLegacyTable(database_);
  plan = PlanFor({});
  EXPECT_EQ(plan.migrations.size(), migrations::Embedded().size());
  for (const PlannedMigration& migration : plan.migrations) {
    for (const PlannedStatement& statement : migration.statements) {
      EXPECT_EQ(statement.problem, "") << statement.sql;
      EXPECT_FALSE(statement.rewrites_table) << statement.sql;
    }
  }
  EXPECT_THAT(FormatText(plan), HasSubstr("CREATE UNIQUE INDEX CONCURRENTLY"));
  ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  plan = PlanFor({});
  EXPECT_THAT(plan.migrations, IsEmpty());
  EXPECT_THAT(FormatText(plan), HasSubstr("Nothing is pending"));
}

TEST_F(PlanTest, SeesARewriteThatOnlyRowsBringAbout) {
  CreateLegacyTable(database_);
  database_.Execute(
      "ALTER TABLE users ADD real_name text, ADD nickname text;"
      "UPDATE users SET real_name = 'A', nickname = 'a' WHERE user_id = 101");
  EXPECT_THAT(FormatText(PlanFor({})), HasSubstr("REWRITES THE TABLE"));
}

TEST_F(PlanTest, ChangesNothingAndHoldsUpNobody) {
  CreateLegacyTable(database_);
  const std::string rows = Dump(database_, "*");
  // With whom any other lock than a reader's would collide.
  const auto other = database_.Connect();
  ASSERT_TRUE(
      other->ExecuteScript("BEGIN; LOCK TABLE users IN EXCLUSIVE MODE").ok());
  EXPECT_EQ(PlanFor({}).migrations.size(), migrations::Embedded().size());
  ASSERT_TRUE(other->ExecuteScript("ROLLBACK").ok());
  EXPECT_EQ(Dump(database_, "*"), rows);
  const auto after = database_.Execute(
      "SELECT to_regclass('userprofile_migrations') IS NULL,"
      " (SELECT count(*) FROM pg_class WHERE relname = 'users')");
  EXPECT_TRUE(after.Bool(0, 0));
}

TEST_F(PlanTest, TellsWhatAMigrationWouldRefuse) {
  CreateLegacyTable(database_);
  database_.Execute("ALTER TABLE users ADD phone bytea");
  const std::string text = FormatText(PlanFor({}));
  EXPECT_THAT(text, HasSubstr("users.phone is bytea, but has to be text"));
  EXPECT_THAT(text, HasSubstr("not known: what it builds on fails"));
  EXPECT_THAT(FormatJson(PlanFor({})), HasSubstr("users.phone is bytea"));
}

TEST_F(PlanTest, WarnsOfAHistoryThatIsOdd) {
  MigrateLegacyTable();
  database_.Execute(
      "UPDATE userprofile_migrations SET sha256 = 'x' WHERE version = 4;"
      "DELETE FROM userprofile_migrations WHERE version = 9;"
      "INSERT INTO userprofile_migrations (version, name, sha256)"
      " VALUES (99, 'future', 'x')");
  const Plan plan = PlanFor({});
  ASSERT_EQ(plan.warnings.size(), 3u);
  EXPECT_THAT(plan.warnings[0], HasSubstr("004_user_identity_persistence was"));
  EXPECT_THAT(plan.warnings[1], HasSubstr("009_add_revision is pending"));
  EXPECT_THAT(plan.warnings[2], HasSubstr("099_future"));
  EXPECT_EQ(plan.migrations.size(), 1u);
}

}  // namespace
}  // namespace userprofile::schema
