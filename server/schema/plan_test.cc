#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/schema/damages_testing.h"
#include "server/schema/history.h"
#include "server/schema/migrator.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

using migrations::Migration;

class PlanTest : public ::testing::Test {
 protected:
  // With migrations that follow those of this program.
  MigrationPlan Plan(const std::vector<Migration>& more = {}) {
    std::vector<Migration> all(migrations::Embedded().begin(),
                               migrations::Embedded().end());
    all.insert(all.end(), more.begin(), more.end());
    MigrateOptions options;
    options.migrations = all;
    auto plan = PlanMigrations(database_.session_factory(), options);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? *plan : MigrationPlan();
  }

  // With a line for each statement: its lock, whether it rewrites the table,
  // and its SQL.
  std::vector<std::string> StatementsOf(const MigrationPlan& plan) {
    std::vector<std::string> lines;
    for (const PlannedMigration& migration : plan.migrations) {
      for (const RepairOutcome& outcome : migration.outcomes) {
        EXPECT_EQ(outcome.reason, "");
        for (const RepairAction& action : outcome.step.actions) {
          lines.push_back(absl::StrCat(
              action.lock, "|", outcome.step.rewrites_table ? "REWRITES" : "",
              "|", action.sql));
        }
      }
    }
    return lines;
  }

  // Each is told by the statement that starts so.
  void ExpectPlanned(const std::vector<const char*>& starts) {
    const std::vector<std::string> statements = StatementsOf(Plan());
    for (const char* start : starts) {
      EXPECT_THAT(statements, Contains(StartsWith(start)));
    }
  }

  testing::TestDatabase database_;
};

TEST_F(PlanTest, TellsTheLockOfEachStatementAndWhetherItRewrites) {
  const struct {
    const char* damage;
    std::vector<const char*> starts;
  } kCases[] = {
      {"ALTER TABLE users DROP phone",
       {"ACCESS EXCLUSIVE||ALTER TABLE public.users ADD COLUMN phone"}},
      {"ALTER TABLE users ALTER user_id TYPE integer",
       {"ACCESS EXCLUSIVE|REWRITES|ALTER TABLE public.users ALTER COLUMN "
        "user_id"}},
      {"ALTER TABLE users ALTER username TYPE text",
       {"ACCESS EXCLUSIVE||ALTER TABLE public.users ALTER COLUMN username "
        "TYPE"}},
      {"ALTER TABLE users ALTER created_at TYPE timestamptz",
       {"ACCESS EXCLUSIVE||SET TimeZone = 'UTC'; ALTER TABLE public.users "
        "ALTER"}},
      {"ALTER TABLE users RESET (fillfactor)",
       {"SHARE UPDATE EXCLUSIVE||ALTER TABLE public.users SET (fillfactor = "
        "85)"}},
      {"ALTER TABLE users SET UNLOGGED",
       {"ACCESS EXCLUSIVE|REWRITES|ALTER TABLE public.users SET LOGGED"}},
      {"UPDATE users SET revision = 0 WHERE user_id = 1",
       {"ROW EXCLUSIVE||WITH lacking"}},
      {"ALTER TABLE users ALTER is_active DROP NOT NULL",
       {"ROW EXCLUSIVE||WITH lacking",
        "ACCESS EXCLUSIVE||ALTER TABLE public.users DROP CONSTRAINT IF EXISTS "
        "userprofile_never_null, ADD CONSTRAINT",
        "ROW EXCLUSIVE||UPDATE public.users SET is_active = coalesce",
        "SHARE UPDATE EXCLUSIVE||ALTER TABLE public.users VALIDATE CONSTRAINT",
        "ACCESS EXCLUSIVE||ALTER TABLE public.users ALTER COLUMN is_active SET "
        "NOT "
        "NULL"}},
      {"DROP INDEX idx_users_nickname",
       {"ACCESS SHARE||SELECT CASE",
        "SHARE UPDATE EXCLUSIVE||CREATE UNIQUE INDEX CONCURRENTLY"}},
      {"ALTER TABLE users DROP CONSTRAINT users_pkey",
       {"SHARE UPDATE EXCLUSIVE||CREATE UNIQUE INDEX CONCURRENTLY",
        "ACCESS EXCLUSIVE||ALTER TABLE public.users ADD PRIMARY KEY USING "
        "INDEX"}},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.damage);
    CreateUnmigratedTable(database_);
    EXPECT_THAT(StatementsOf(Plan()), SizeIs(2));  // 001 and 004
    database_.Execute(test.damage);
    ExpectPlanned(test.starts);
    EXPECT_THAT(StatementsOf(Plan()), SizeIs(::testing::Ge(3)));
  }
}

TEST_F(PlanTest, PrintsTheSqlOfEachMigrationByItself) {
  CreateLegacyTable(database_);
  ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  database_.Execute("DROP INDEX idx_users_study_track");
  const MigrationPlan plan = Plan(
      {{kNextMigration, "new", "x", "ALTER TABLE :users ADD extra integer;\n"},
       {kNextMigration + 1, "contract", "y", "-- more",
        migrations::Kind::kContract},
       {kNextMigration + 2, "last", "z", "UPDATE :users SET extra = 1"}});
  EXPECT_THAT(
      StatementsOf(plan),
      ElementsAre(
          "ACCESS EXCLUSIVE||ALTER TABLE public.users ADD extra integer",
          StartsWith("SHARE UPDATE EXCLUSIVE||CREATE INDEX"),
          "||UPDATE public.users SET extra = 1"));
  EXPECT_THAT(plan.migrations, SizeIs(3));
}

TEST_F(PlanTest, TellsWhatAnEmptyALegacyAndAMigratedDatabaseNeed) {
  MigrationPlan plan;
  for (const bool is_legacy : {false, true}) {
    if (is_legacy) CreateLegacyTable(database_);
    plan = Plan();
    EXPECT_FALSE(plan.is_refused) << plan.obstacles;
    EXPECT_EQ(plan.migrations.size(), migrations::Embedded().size());
    EXPECT_THAT(StatementsOf(plan), Not(Contains(HasSubstr("|REWRITES|"))));
    EXPECT_THAT(FormatText(plan),
                HasSubstr("CREATE UNIQUE INDEX CONCURRENTLY"));
    EXPECT_EQ(
        database_.Execute("SELECT to_regclass('users') IS NOT NULL").Bool(0, 0),
        is_legacy);
  }
  ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  plan = Plan();
  EXPECT_THAT(plan.migrations, IsEmpty());
  EXPECT_THAT(FormatText(plan), HasSubstr("Nothing is pending"));
}

TEST_F(PlanTest, SeesARewriteThatOnlyRowsBringAbout) {
  CreateLegacyTable(database_);
  database_.Execute(
      "ALTER TABLE users ADD real_name text, ADD nickname text;"
      "UPDATE users SET real_name = 'A', nickname = 'a' WHERE user_id = 101");
  EXPECT_THAT(FormatText(Plan()), HasSubstr("REWRITES THE TABLE"));
}

TEST_F(PlanTest, ChangesNothingAndHoldsUpNobody) {
  CreateLegacyTable(database_);
  const std::string rows = Dump(database_, "*");
  // With whom any other lock than a reader's would collide.
  const auto other = database_.Connect();
  ASSERT_TRUE(
      other->ExecuteScript("BEGIN; LOCK TABLE users IN EXCLUSIVE MODE").ok());
  EXPECT_EQ(Plan().migrations.size(), migrations::Embedded().size());
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
  const std::string text = FormatText(Plan());
  constexpr char kWords[] =
      "users.phone is not as needed: bytea instead of text";
  EXPECT_THAT(text, HasSubstr(kWords));
  EXPECT_THAT(FormatJson(Plan()), HasSubstr(kWords));
  EXPECT_TRUE(Plan().is_refused);
}

TEST_F(PlanTest, TellsThatTheSchemaIsNotAsNeededAlthoughNothingIsPending) {
  ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  database_.Execute("ALTER TABLE users DROP phone");
  const MigrationPlan plan = Plan();
  EXPECT_TRUE(plan.is_refused);
  EXPECT_THAT(plan.obstacles, HasSubstr("users.phone"));
}

TEST_F(PlanTest, TellsThatTheRoleMayMakeNoTable) {
  database_.Execute(
      "CREATE ROLE plan_test_stranger; REVOKE CREATE ON SCHEMA public FROM "
      "PUBLIC; GRANT USAGE ON SCHEMA public TO plan_test_stranger");
  const auto plan = PlanMigrations(
      [&]() -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
        auto session = database_.Connect();
        session->ExecuteScript("SET ROLE plan_test_stranger")
            .status()
            .IgnoreError();
        return session;
      });
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->is_refused);
  EXPECT_THAT(plan->obstacles, HasSubstr("permission denied"));
  database_.Execute(
      "DROP OWNED BY plan_test_stranger; DROP ROLE plan_test_stranger");
}

TEST_F(PlanTest, WarnsOfAHistoryThatIsOdd) {
  CreateLegacyTable(database_);
  ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  database_.Execute(
      "UPDATE userprofile_migrations SET sha256 = 'x' WHERE version = 4;"
      "DELETE FROM userprofile_migrations WHERE version = 9;"
      "INSERT INTO userprofile_migrations (version, name, sha256)"
      " VALUES (99, 'future', 'x')");
  const MigrationPlan plan = Plan();
  ASSERT_EQ(plan.warnings.size(), 3u);
  EXPECT_THAT(plan.warnings[0], HasSubstr("004_user_identity_persistence was"));
  EXPECT_THAT(plan.warnings[1], HasSubstr("009_add_revision is pending"));
  EXPECT_THAT(plan.warnings[2], HasSubstr("099_future"));
  EXPECT_EQ(plan.migrations.size(), 1u);
}

}  // namespace
}  // namespace userprofile::schema
