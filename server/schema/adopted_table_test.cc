// What becomes of the tables that bots left when they are migrated.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "server/postgres/errors.h"
#include "server/postgres/forwarding_session.h"
#include "server/schema/damages_testing.h"
#include "server/schema/inspector.h"
#include "server/schema/migrator.h"
#include "server/schema/repair.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

absl::StatusOr<MigrateResult> Migrate(const testing::TestDatabase& database) {
  return schema::Migrate(database.session_factory());
}

TEST(AdoptedTableTest, MendsTheLegacyTableAndLosesNothing) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  constexpr char kColumns[] = "user_id, is_active, created_at, referral";
  const std::string before = Dump(database, kColumns);

  const auto result = Migrate(database);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->report.breaches, IsEmpty());
  EXPECT_EQ(Dump(database, kColumns), before);
  EXPECT_EQ(database.Execute("SELECT count(*) FROM active_users").Int64(0, 0),
            3);
  EXPECT_TRUE(
      database.Execute("SELECT to_regclass('idx_users_referral') IS NOT NULL")
          .Bool(0, 0));

  // The trigger still works, and nothing made it fire.
  database.Execute("UPDATE users SET referral = 'x' WHERE user_id = 101");
  EXPECT_EQ(database.Execute("SELECT count(*) FROM users_log").Int64(0, 0), 1);
}

TEST(AdoptedTableTest, MendsEveryDamageOrRefusesAndChangesNothing) {
  testing::TestDatabase database;
  for (const Damage& damage : Damages()) {
    SCOPED_TRACE(damage.sql);
    CreateUnmigratedTable(database);
    database.Execute(damage.sql);
    const std::string rows = Dump(database, "*");
    const std::string report = FormatJson(*Inspect(*database.Connect()));

    const auto result = Migrate(database);
    if (damage.refusal == nullptr) {
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_THAT(result->report.breaches, IsEmpty())
          << FormatText(result->report);
      EXPECT_EQ(database.Execute("SELECT count(*) FROM users").Int64(0, 0), 2);
      EXPECT_EQ(Dump(database, "\"Coins\""), "(10)\n(20)");
    } else {
      EXPECT_TRUE(absl::IsFailedPrecondition(result.status()));
      EXPECT_EQ(base::ErrorReason(result.status()), kMigrationRefused);
      EXPECT_THAT(std::string(result.status().message()),
                  HasSubstr(damage.refusal));
      EXPECT_EQ(Dump(database, "*"), rows);
      EXPECT_EQ(FormatJson(*Inspect(*database.Connect())), report);
      EXPECT_TRUE(
          database
              .Execute("SELECT to_regclass('userprofile_migrations') IS NULL")
              .Bool(0, 0));
    }
  }
}

TEST(AdoptedTableTest, HoldsWhatItsRowsMeant) {
  const struct {
    const char* label;
    const char* sql;
    const char* query;
    const char* expected;
  } kCases[] = {
      {"what was NULL",
       "ALTER TABLE users ADD last_seen_at timestamptz;"
       "UPDATE users SET is_active = NULL, created_at = NULL,"
       " last_seen_at = '2025-05-05 05:05:05+00' WHERE user_id = 102",
       "(SELECT concat_ws(' ', is_active, onboarding_completed, created_at,"
       " revision)"
       " FROM users WHERE user_id = 102)",
       "t f 2025-05-05 05:05:05 1"},
      {"who answered before there was a column for it, and no trigger fires",
       "ALTER TABLE users ADD real_name varchar(50), ADD nickname char(20);"
       "UPDATE users SET real_name = 'Sara', nickname = 'sara'"
       " WHERE user_id = 101;"
       "UPDATE users SET real_name = 'Ali' WHERE user_id = 102;"
       "UPDATE users SET real_name = ' ', nickname = 'x' WHERE user_id = 103;"
       "TRUNCATE users_log",
       "(SELECT string_agg(user_id::text, ',') FROM users"
       " WHERE onboarding_completed), (SELECT count(*) FROM users_log)",
       "101; 0"},
      {"what a bot recorded of the onboarding",
       "ALTER TABLE users ADD real_name text, ADD nickname text,"
       " ADD onboarding_completed boolean;"
       "UPDATE users SET real_name = 'A', nickname = user_id::text;"
       "UPDATE users SET onboarding_completed = true WHERE user_id = 101;"
       "UPDATE users SET onboarding_completed = false WHERE user_id = 102",
       "(SELECT string_agg(user_id::text, ',') FROM users"
       " WHERE onboarding_completed)",
       "101"},
      {"revisions from which a user would look new",
       "ALTER TABLE users ADD revision bigint DEFAULT 0;"
       "UPDATE users SET revision = 7 WHERE user_id = 104",
       "(SELECT string_agg(revision::text, ',' ORDER BY user_id) FROM users)",
       "1,1,1,7"},
      {"revisions that are too narrow",
       "ALTER TABLE users ADD revision integer DEFAULT 5",
       "(SELECT string_agg(revision::text, ',') FROM users)", "5,5,5,5"},
      {"a fillfactor that somebody chose",
       "ALTER TABLE users SET (fillfactor = 70)",
       "(SELECT reloptions FROM pg_class WHERE oid = 'users'::regclass)",
       "{fillfactor=70}"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.label);
    testing::TestDatabase database;
    CreateLegacyTable(database);
    database.Execute(test.sql);
    const auto result = Migrate(database);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->report.breaches, IsEmpty());
    EXPECT_EQ(
        database
            .Execute(absl::StrCat("SELECT concat_ws('; ', ", test.query, ")"))
            .Text(0, 0),
        test.expected);
  }
}

TEST(AdoptedTableTest, KeepsEveryValueOfConvertedColumns) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  constexpr char kColumns[] =
      "user_id, first_name, created_at, last_seen_at, updated_at, phone";
  const std::string before = Dump(database, kColumns);
  database.Execute(
      "ALTER TABLE users ALTER user_id TYPE integer,"
      " ALTER first_name TYPE varchar(64), ALTER phone TYPE varchar(20),"
      " ALTER created_at TYPE timestamptz USING created_at AT TIME ZONE 'UTC',"
      " ALTER last_seen_at TYPE timestamp"
      "  USING last_seen_at AT TIME ZONE 'UTC'");
  ASSERT_NE(Dump(database, kColumns), before);
  ASSERT_TRUE(Migrate(database).ok());
  EXPECT_EQ(Dump(database, kColumns), before);
}

TEST(AdoptedTableTest, LeavesATextColumnThatAViewKeepsFromChanging) {
  for (const char* sql :
       {"ALTER TABLE users ALTER first_name TYPE text;"
        "CREATE VIEW names AS SELECT first_name FROM users",
        // Something else is wrong with it as well.
        "UPDATE users SET nickname = user_id::text;"
        "ALTER TABLE users ALTER nickname TYPE text,"
        " ALTER nickname SET NOT NULL, ALTER nickname SET DEFAULT 'x';"
        "CREATE VIEW names AS SELECT nickname FROM users"}) {
    SCOPED_TRACE(sql);
    testing::TestDatabase database;
    CreateUnmigratedTable(database);
    database.Execute(sql);
    const auto result = Migrate(database);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->report.breaches, SizeIs(1));
    EXPECT_EQ(result->report.Count(Severity::kAdvisory), 1);
  }
}

// Fails what begins with `sql`, with `sqlstate`.
class FailingSession final : public postgres::ForwardingSession {
 public:
  FailingSession(std::unique_ptr<postgres::Session> session, const char* sql,
                 const char* sqlstate)
      : ForwardingSession(std::move(session)), sql_(sql), sqlstate_(sqlstate) {}

  absl::StatusOr<postgres::Rows> ExecuteScript(absl::string_view sql) override {
    if (!absl::StartsWith(sql, sql_)) return session().ExecuteScript(sql);
    return postgres::ErrorFromSqlState(sqlstate_, "ERROR:  it passes");
  }

 private:
  const char* const sql_;
  const char* const sqlstate_;
};

// Nothing is taken for done, or for not to be done, because of it.
TEST(AdoptedTableTest, TakesNoErrorThatPassesForARefusal) {
  struct Case {
    const char* sql;
    const char* sqlstate;
  };
  for (const Case& c : std::vector<Case>{
           {"SELECT relkind = 'r' AND EXISTS (SELECT FROM public.users WHERE "
            "rev",
            "57014"},
           {"SELECT relkind = 'r' AND EXISTS (SELECT FROM public.users WHERE "
            "rev",
            "53200"},
           {"CREATE INDEX CONCURRENTLY idx_users_study_track", "53100"},
           {"CREATE INDEX CONCURRENTLY idx_users_study_track", "XX000"},
           {"ALTER TABLE public.users ADD COLUMN", "53400"},
       }) {
    SCOPED_TRACE(absl::StrCat(c.sqlstate, " ", c.sql));
    testing::TestDatabase database;
    CreateLegacyTable(database);
    database.Execute("ALTER TABLE users ADD revision bigint DEFAULT 0");
    const postgres::SessionFactory connect =
        [&]() -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
      return std::make_unique<FailingSession>(database.Connect(), c.sql,
                                              c.sqlstate);
    };
    const absl::Status status = schema::Migrate(connect).status();
    EXPECT_TRUE(absl::IsAborted(status) || absl::IsUnavailable(status));
    EXPECT_EQ(base::ErrorReason(status), "") << status;
    EXPECT_EQ(postgres::SqlState(schema::Repair(connect, {}).status()),
              c.sqlstate);
    const auto again = Migrate(database);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_THAT(again->report.breaches, IsEmpty());
    EXPECT_EQ(Dump(database, "DISTINCT revision"), "(1)");
  }
}

TEST(AdoptedTableTest, AdoptsATableThatLiesInALaterSchemaOfTheSearchPath) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute(
      "CREATE SCHEMA bot; ALTER SCHEMA public RENAME TO \"Old Bot\";"
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = bot, "
      "\"Old Bot\"', current_database()); END $$");
  const auto result = Migrate(database);
  ASSERT_TRUE(result.ok()) << result.status();
  const auto row = database.Execute(
      "SELECT to_regclass('bot.users') IS NULL,"
      " to_regclass('\"Old Bot\".userprofile_migrations') IS NOT NULL,"
      " (SELECT count(*) FROM \"Old Bot\".users WHERE revision = 1)");
  EXPECT_TRUE(row.Bool(0, 0));
  EXPECT_TRUE(row.Bool(0, 1));
  EXPECT_EQ(row.Int64(0, 2), 4);
}

TEST(AdoptedTableTest, SaysInWordsWhatKeepsAColumnAndGoesOnOnceThatIsDone) {
  struct Case {
    const char* sql;
    const char* words;
  };
  for (const Case& c : std::vector<Case>{
           {"ALTER TABLE users ADD grade_year integer"
            " CONSTRAINT positive CHECK (grade_year > 0)",
            "ALTER TABLE public.users DROP CONSTRAINT positive"},
           {"ALTER TABLE users ADD grade_year integer;"
            "CREATE INDEX next_year ON users ((grade_year + 1))",
            "DROP INDEX public.next_year"},
           {"ALTER TABLE users ADD first_name varchar(9);"
            "CREATE VIEW names AS SELECT first_name FROM users;"
            "CREATE MATERIALIZED VIEW kept AS SELECT first_name FROM users",
            "create it again: DROP"},
           {"ALTER TABLE users ADD first_name varchar(9);"
            "CREATE POLICY p ON users USING (first_name <> '')",
            "DROP POLICY p ON public.users"},
           {"ALTER TABLE users ADD first_name varchar(9);"
            "CREATE TRIGGER t AFTER UPDATE OF first_name ON users FOR EACH ROW"
            " WHEN (NEW.first_name <> '') EXECUTE FUNCTION log_user()",
            "DROP TRIGGER t ON public.users"},
           {"CREATE TABLE base (phone varchar(9));"
            "ALTER TABLE users ADD phone varchar(9); ALTER TABLE users INHERIT "
            "base",
            "ALTER TABLE public.users NO INHERIT public.base"},
           {"ALTER TABLE users ADD CONSTRAINT r CHECK (referral <> '')"
            " NOT VALID",
            "1 rows of users break the constraint r"},
           {"ALTER TABLE users ADD CONSTRAINT r CHECK (referral <> '')"
            " NO INHERIT NOT VALID",
            "1 rows of users break the constraint r"},
       }) {
    SCOPED_TRACE(c.sql);
    testing::TestDatabase database;
    CreateLegacyTable(database);
    database.Execute(c.sql);
    const std::string rows = Dump(database, "*");
    const auto plan = PlanMigrations(database.session_factory());
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_TRUE(plan->is_refused);
    EXPECT_THAT(FormatText(*plan), HasSubstr(c.words));

    absl::Status status = Migrate(database).status();
    EXPECT_EQ(base::ErrorReason(status), kMigrationRefused) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.words));
    // Before anything began.
    EXPECT_TRUE(
        database.Execute("SELECT to_regclass('userprofile_migrations') IS NULL")
            .Bool(0, 0));
    for (int i = 0; i < 3 && !status.ok(); ++i) {
      for (const std::string& sql : SqlIn(status.message())) {
        database.Execute(sql);
      }
      status = Migrate(database).status();
    }
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(database.Execute("SELECT count(*) FROM users").Int64(0, 0), 4);
  }
}

TEST(AdoptedTableTest, DoesWithoutAnIndexThatOnlySpeedAsksForAndARowForbids) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  constexpr char kLong[] =
      "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 600) AS i)";
  database.Execute(absl::StrCat(
      "ALTER TABLE users ADD study_track text, ADD nickname varchar;"
      "UPDATE users SET study_track = ",
      kLong, " WHERE user_id = 101"));
  // Another's index of that name, before ours in the search path, stays.
  database.Execute(
      "CREATE SCHEMA bot; CREATE TABLE bot.tracks (t text);"
      "CREATE INDEX idx_users_study_track ON bot.tracks (t);"
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = bot, "
      "public', current_database()); END $$");
  const auto result = Migrate(database);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->report.breaches.size(), 1u);
  EXPECT_EQ(result->report.breaches[0].object, "idx_users_study_track");
  EXPECT_EQ(result->report.breaches[0].severity, Severity::kAdvisory);
  EXPECT_EQ(result->report.breaches[0].found, kMissing);
  EXPECT_THAT(Migrate(database)->applied, IsEmpty());
  EXPECT_EQ(database
                .Execute("SELECT string_agg(schemaname, ',') FROM pg_indexes"
                         " WHERE indexname = 'idx_users_study_track'")
                .Text(0, 0),
            "bot");

  // A unique one is needed.
  testing::TestDatabase strict;
  CreateLegacyTable(strict);
  strict.Execute(
      absl::StrCat("ALTER TABLE users ADD nickname varchar;"
                   "UPDATE users SET nickname = ",
                   kLong, " WHERE user_id = 101"));
  const absl::Status status = Migrate(strict).status();
  EXPECT_EQ(base::ErrorReason(status), kMigrationRefused) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("nickname is too long"));
  for (const std::string& sql : SqlIn(status.message())) {
    EXPECT_EQ(strict.Execute(sql).Int64(0, 0), 101);
  }
}

TEST(AdoptedTableTest, KeepsAnIndexOfOthersThatHasOurName) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "DROP INDEX idx_users_grade_year;"
      "CREATE INDEX idx_users_grade_year ON users (phone)");
  ASSERT_TRUE(Migrate(database).ok());
  EXPECT_TRUE(
      database
          .Execute("SELECT to_regclass('idx_users_grade_year_set_aside')"
                   " IS NOT NULL")
          .Bool(0, 0));
}

// Our SQL names the table as :users, the catalog's may hold that as anything.
TEST(AdoptedTableTest, KeepsWhatLooksLikeTheNameOfTheTable) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute(R"sql(
      DO $do$ BEGIN EXECUTE replace($$
        ALTER TABLE public.users ADD source text DEFAULT 'import#users',
          ADD users integer DEFAULT 1, ADD tags text[] DEFAULT '{bot}',
          ADD "#users" integer DEFAULT 7;
        ALTER TABLE public.users ADD CONSTRAINT known CHECK (source IN
          ('import#users') AND "#users" = 7 AND tags[1#users] = '{bot}')
          NOT VALID
      $$, '#', ':'); END $do$)sql");
  const std::string read =
      "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = "
      "'known' AND conrelid = 'public.users'::regclass";
  const std::string before(database.Execute(read).Text(0, 0));
  ASSERT_THAT(before, HasSubstr("[1:users]"));

  const auto plan = PlanMigrations(database.session_factory());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->obstacles, "");
  const auto migrated = Migrate(database);
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  const auto repaired = Repair(database.session_factory(), RepairOptions());
  ASSERT_TRUE(repaired.ok()) << repaired.status();
  EXPECT_EQ(database.Execute(read).Text(0, 0), before);

  // Of rows that break it the statement is told with the condition as it is.
  database.Execute(
      "DELETE FROM public.userprofile_migrations WHERE version > 4;"
      "ALTER TABLE public.users DROP CONSTRAINT known;"
      "UPDATE public.users SET source = 'unknown'");
  database.Execute(
      absl::StrCat("ALTER TABLE public.users ADD CONSTRAINT known ", before));
  const absl::Status refused = Migrate(database).status();
  EXPECT_EQ(base::ErrorReason(refused), kMigrationRefused) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("'import:users'"));
}

}  // namespace
}  // namespace userprofile::schema
