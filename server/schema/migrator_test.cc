#include "server/schema/migrator.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "server/schema/back_fill.h"
#include "server/schema/damages_testing.h"
#include "server/schema/history.h"
#include "server/schema/index_build.h"
#include "server/schema/inspector.h"
#include "server/schema/plan.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kSchemaNotReady[] = "SCHEMA_NOT_READY";

using Migrations = std::vector<migrations::Migration>;

// The embedded migrations and more.
Migrations EmbeddedAnd(const Migrations& more) {
  Migrations all(migrations::Embedded().begin(), migrations::Embedded().end());
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

absl::StatusOr<MigrateResult> Migrate(const testing::TestDatabase& database,
                                      const Migrations& all) {
  MigrateOptions options;
  options.migrations = all;
  return schema::Migrate(database.session_factory(), options);
}

absl::StatusOr<MigrateResult> Migrate(const testing::TestDatabase& database) {
  return schema::Migrate(database.session_factory());
}

bool HasColumn(const testing::TestDatabase& database, const char* name) {
  return database
      .Execute(std::string("SELECT EXISTS (SELECT FROM pg_attribute WHERE "
                           "attrelid = 'users'::regclass AND NOT attisdropped "
                           "AND attname = '") +
               name + "')")
      .Bool(0, 0);
}

void AwaitTrue(const testing::TestDatabase& database, const char* query) {
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (!database.Execute(query).Bool(0, 0)) {
    ASSERT_LT(absl::Now(), deadline) << query;
    absl::SleepFor(absl::Milliseconds(10));
  }
}

TEST(MigratorTest, BuildsTheTableInAnEmptyDatabaseOnce) {
  testing::TestDatabase database;
  const auto first = Migrate(database);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->applied,
              ElementsAre(1, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17));
  EXPECT_THAT(first->report.breaches, IsEmpty());

  const auto second = Migrate(database);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(second->applied, IsEmpty());
  EXPECT_THAT(second->report.breaches, IsEmpty());
}

TEST(MigratorTest, MendsTheLegacyTableAndLosesNothing) {
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

TEST(MigratorTest, MendsEveryDamageOrRefusesAndChangesNothing) {
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
    }
  }
}

TEST(MigratorTest, KeepsEveryValueOfConvertedColumns) {
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

TEST(MigratorTest, FillsWhatWasNullWithWhatItMeant) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute(
      "ALTER TABLE users ADD last_seen_at timestamptz;"
      "UPDATE users SET is_active = NULL, created_at = NULL,"
      " last_seen_at = '2025-05-05 05:05:05+00' WHERE user_id = 102");
  ASSERT_TRUE(Migrate(database).ok());
  const auto row = database.Execute(
      "SELECT is_active, onboarding_completed, created_at, revision"
      " FROM users WHERE user_id = 102");
  EXPECT_TRUE(row.Bool(0, 0));
  EXPECT_FALSE(row.Bool(0, 1));
  EXPECT_EQ(row.Text(0, 2), "2025-05-05 05:05:05");
  EXPECT_EQ(row.Int64(0, 3), 1);
}

TEST(MigratorTest, KeepsThoseOnboardedWhoAnsweredBeforeThereWasAColumnForIt) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute(
      "ALTER TABLE users ADD real_name varchar(50), ADD nickname char(20);"
      "UPDATE users SET real_name = 'Sara', nickname = 'sara'"
      " WHERE user_id = 101;"
      "UPDATE users SET real_name = 'Ali' WHERE user_id = 102;"
      "UPDATE users SET real_name = ' ', nickname = 'x' WHERE user_id = 103;"
      "TRUNCATE users_log");
  const auto result = Migrate(database);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Dump(database, "user_id, onboarding_completed"),
            "(101,t)\n(102,f)\n(103,f)\n(104,f)");
  EXPECT_EQ(database.Execute("SELECT count(*) FROM users_log").Int64(0, 0), 0);
}

TEST(MigratorTest, LeavesAnOnboardingThatABotRecordedAsItIs) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute(
      "ALTER TABLE users ADD real_name text, ADD nickname text,"
      " ADD onboarding_completed boolean;"
      "UPDATE users SET real_name = 'A', nickname = user_id::text;"
      "UPDATE users SET onboarding_completed = true WHERE user_id = 101;"
      "UPDATE users SET onboarding_completed = false WHERE user_id = 102");
  const auto result = Migrate(database);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Dump(database, "user_id, onboarding_completed"),
            "(101,t)\n(102,f)\n(103,f)\n(104,f)");
}

TEST(MigratorTest, RaisesRevisionsFromWhichAUserWouldLookNew) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute("ALTER TABLE users ADD revision bigint DEFAULT 0");
  database.Execute("UPDATE users SET revision = 7 WHERE user_id = 104");
  ASSERT_TRUE(Migrate(database).ok());
  EXPECT_EQ(Dump(database, "user_id, revision"),
            "(101,1)\n(102,1)\n(103,1)\n(104,7)");
}

TEST(MigratorTest, NeverHidesATableOfUsersBehindANewOne) {
  constexpr const char* kHidings[] = {
      "CREATE SCHEMA bot; ALTER TABLE users SET SCHEMA bot",
      "ALTER TABLE users RENAME TO \"Users\""};
  for (const char* hiding : kHidings) {
    SCOPED_TRACE(hiding);
    testing::TestDatabase database;
    CreateLegacyTable(database);
    database.Execute(hiding);
    const absl::Status status = Migrate(database).status();
    EXPECT_EQ(base::ErrorReason(status), kMigrationRefused) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("there is "));
    EXPECT_TRUE(
        database.Execute("SELECT to_regclass('users') IS NULL").Bool(0, 0));

    // Where it is another program's after all.
    MigrateOptions options;
    options.new_table = true;
    EXPECT_TRUE(schema::Migrate(database.session_factory(), options).ok());
  }
}

TEST(MigratorTest, MakesNoNewTableWhereTheMigratedOneWasLost) {
  testing::TestDatabase database;
  database.Execute(
      "CREATE SCHEMA first; CREATE SCHEMA bot;"
      "CREATE TABLE bot.users (user_id bigint PRIMARY KEY);"
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path ="
      " first, bot', current_database()); END $$");
  ASSERT_TRUE(Migrate(database).ok());
  database.Execute("DROP TABLE bot.users");
  EXPECT_EQ(base::ErrorReason(Migrate(database).status()), kSchemaNotReady);
  EXPECT_TRUE(
      database.Execute("SELECT to_regclass('users') IS NULL").Bool(0, 0));
  const auto report = Inspect(*database.Connect());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->breaches.front().remedy, HasSubstr("restore a backup"));
}

TEST(MigratorTest, LeavesATextColumnThatAViewKeepsFromChanging) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ALTER first_name TYPE text;"
      "CREATE VIEW names AS SELECT first_name FROM users");
  const auto result = Migrate(database);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->report.Count(Severity::kAdvisory), 1);
}

TEST(MigratorTest, AdoptsATableThatLiesInALaterSchemaOfTheSearchPath) {
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

TEST(MigratorTest, KeepsAFillfactorThatSomebodyChose) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute("ALTER TABLE users SET (fillfactor = 70)");
  ASSERT_TRUE(Migrate(database).ok());
  EXPECT_EQ(database
                .Execute("SELECT reloptions::text FROM pg_class"
                         " WHERE oid = 'users'::regclass")
                .Text(0, 0),
            "{fillfactor=70}");
}

TEST(MigratorTest, SaysInWordsWhatKeepsAColumnAndGoesOnOnceThatIsDone) {
  struct Case {
    const char* sql;
    const char* words;
  };
  for (const Case& c : std::vector<Case>{
           {"ALTER TABLE users ADD grade_year integer"
            " CONSTRAINT positive CHECK (grade_year > 0)",
            "ALTER TABLE users DROP CONSTRAINT positive"},
           {"ALTER TABLE users ADD grade_year integer;"
            "CREATE INDEX next_year ON users ((grade_year + 1))",
            "DROP INDEX next_year"},
           {"ALTER TABLE users ADD first_name varchar(9);"
            "CREATE VIEW names AS SELECT first_name FROM users;"
            "CREATE MATERIALIZED VIEW kept AS SELECT first_name FROM users",
            "create it again: DROP"},
           {"ALTER TABLE users ADD first_name varchar(9);"
            "CREATE POLICY p ON users USING (first_name <> '')",
            "DROP POLICY p ON users"},
           {"ALTER TABLE users ADD first_name varchar(9);"
            "CREATE TRIGGER t AFTER UPDATE OF first_name ON users FOR EACH ROW"
            " WHEN (NEW.first_name <> '') EXECUTE FUNCTION log_user()",
            "DROP TRIGGER t ON users"},
           {"CREATE TABLE base (phone varchar(9));"
            "ALTER TABLE users ADD phone varchar(9); ALTER TABLE users INHERIT "
            "base",
            "ALTER TABLE users NO INHERIT base"},
           {"ALTER TABLE users ADD CONSTRAINT r CHECK (referral <> '')"
            " NOT VALID",
            "1 rows of users break the constraint r"},
       }) {
    SCOPED_TRACE(c.sql);
    testing::TestDatabase database;
    CreateLegacyTable(database);
    database.Execute(c.sql);
    const std::string rows = Dump(database, "*");
    const auto plan = MakePlan(database.session_factory());
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

TEST(MigratorTest, DoesWithoutAnIndexThatOnlySpeedAsksForAndARowForbids) {
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

TEST(MigratorTest, UndoesALastMigrationThatBreaksTheContract) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  const auto result = Migrate(
      database,
      EmbeddedAnd({{18, "bad", "x", "ALTER TABLE users DROP first_name"}}));
  EXPECT_TRUE(absl::IsUnavailable(result.status()));
  EXPECT_EQ(base::ErrorReason(result.status()), kSchemaNotReady);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("users.first_name is missing"));
  EXPECT_TRUE(HasColumn(database, "first_name"));
  EXPECT_TRUE(Migrate(database)->applied.empty());
}

TEST(MigratorTest, LetsAnEarlierMigrationBreakWhatALaterOneMends) {
  testing::TestDatabase database;
  const auto result = Migrate(
      database,
      EmbeddedAnd({{18, "drop", "x", "ALTER TABLE users DROP first_name"},
                   {19, "add", "y",
                    "ALTER TABLE users ADD first_name character varying"}}));
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST(MigratorTest, ReportsABrokenSchemaWhenNothingIsPending) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  database.Execute("DROP INDEX idx_users_nickname");
  const absl::Status status = Migrate(database).status();
  EXPECT_EQ(base::ErrorReason(status), kSchemaNotReady);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("idx_users_nickname is missing"));
}

TEST(MigratorTest, RefusesAMigrationThatWasEditedAfterItWasApplied) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  Migrations edited = EmbeddedAnd({{18, "new", "x", "SELECT 1"}});
  edited[2].sha256 = "something else";
  const absl::Status status = Migrate(database, edited).status();
  EXPECT_EQ(base::ErrorReason(status), kMigrationChanged);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("008_fix_users_table_schema"));
  EXPECT_TRUE(Migrate(database).ok());
}

TEST(MigratorTest, AcceptsAHistoryThatKnowsMore) {
  testing::TestDatabase database;
  ASSERT_TRUE(
      Migrate(database, EmbeddedAnd({{18, "later", "x", "SELECT 1"}})).ok());
  EXPECT_TRUE(Migrate(database).ok());
  const auto status = ReadMigrationStatus(*database.Connect());
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->back().state, MigrationState::kUnknown);
}

TEST(MigratorTest, TellsWhatIsPendingAndWhatWasApplied) {
  testing::TestDatabase database;
  const auto session = database.Connect();
  auto status = ReadMigrationStatus(*session);
  ASSERT_TRUE(status.ok()) << status.status();
  ASSERT_EQ(status->size(), 12);
  for (const MigrationStatus& migration : *status) {
    EXPECT_EQ(migration.state, MigrationState::kPending);
  }
  ASSERT_TRUE(Migrate(database).ok());
  status = ReadMigrationStatus(*session);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_THAT(FormatText(*status),
              HasSubstr("applied   008_fix_users_table_schema"));
  for (const MigrationStatus& migration : *status) {
    EXPECT_EQ(migration.state, MigrationState::kApplied);
    EXPECT_THAT(migration.applied_at,
                ::testing::MatchesRegex("20..-..-..T..:..:..Z"));
  }
}

TEST(MigratorTest, FinishesWhatAKilledMigratorBegan) {
  testing::TestDatabase database;
  std::thread killed([&] {
    EXPECT_TRUE(absl::IsUnavailable(
        Migrate(database, EmbeddedAnd({{18, "slow", "x",
                                        "ALTER TABLE users ADD extra integer;"
                                        "SELECT pg_sleep(60)"}}))
            .status()));
  });
  AwaitTrue(database,
            "SELECT count(*) = 1 FROM pg_stat_activity"
            " WHERE query LIKE 'SELECT pg_sleep%'"
            " AND wait_event = 'PgSleep'");
  database.CutConnections();
  killed.join();
  EXPECT_FALSE(HasColumn(database, "extra"));

  const auto result = Migrate(
      database,
      EmbeddedAnd({{18, "slow", "x", "ALTER TABLE users ADD extra integer"}}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->applied, ElementsAre(18));
  EXPECT_TRUE(HasColumn(database, "extra"));
}

TEST(MigratorTest, LetsOneOfEightWorkWhileTheOthersWait) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  std::vector<std::thread> threads;
  std::atomic<int> succeeded = 0;
  std::atomic<int> applied = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto result = Migrate(database);
      EXPECT_TRUE(result.ok()) << result.status();
      if (!result.ok()) return;
      ++succeeded;
      applied += static_cast<int>(result->applied.size());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(succeeded, 8);
  EXPECT_EQ(applied, 12);
}

TEST(MigratorTest, GivesUpWaitingForAnotherMigrator) {
  testing::TestDatabase database;
  const auto other = database.Connect();
  ASSERT_TRUE(
      other->ExecuteScript("SELECT pg_advisory_lock(8463219666946518886)")
          .ok());
  MigrateOptions options;
  options.migrator_wait = absl::Milliseconds(50);
  options.migrator_poll = absl::Milliseconds(10);
  const auto result = schema::Migrate(database.session_factory(), options);
  EXPECT_EQ(base::ErrorReason(result.status()), kMigratorBusy);
}

TEST(MigratorTest, GivesUpWaitingWhenAskedTo) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  MigrateOptions options;
  options.give_up = [] { return true; };
  options.lock_timeout = absl::Milliseconds(20);
  const auto other = database.Connect();
  ASSERT_TRUE(
      other->ExecuteScript("SELECT pg_advisory_lock(8463219666946518886)")
          .ok());
  EXPECT_TRUE(absl::IsCancelled(
      schema::Migrate(database.session_factory(), options).status()));

  ASSERT_TRUE(other
                  ->ExecuteScript("SELECT pg_advisory_unlock_all();"
                                  "BEGIN; SELECT FROM users")
                  .ok());
  EXPECT_TRUE(absl::IsCancelled(
      schema::Migrate(database.session_factory(), options).status()));
}

TEST(MigratorTest, WaitsForTheTableInShortAttempts) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  const auto reader = database.Connect();
  ASSERT_TRUE(reader->ExecuteScript("BEGIN; SELECT FROM users").ok());

  MigrateOptions options;
  options.lock_timeout = absl::Milliseconds(20);
  options.attempt_pause = absl::Milliseconds(5);
  options.attempts = 2;
  const absl::Status given_up =
      schema::Migrate(database.session_factory(), options).status();
  EXPECT_TRUE(absl::IsAborted(given_up)) << given_up;
  EXPECT_FALSE(HasColumn(database, "last_seen_at"));

  options.attempts = 1000;
  std::thread migrator([&] {
    EXPECT_TRUE(schema::Migrate(database.session_factory(), options).ok());
  });
  AwaitTrue(database,
            "SELECT count(*) > 0 FROM pg_locks"
            " WHERE mode = 'AccessExclusiveLock' AND NOT granted");
  ASSERT_TRUE(reader->ExecuteScript("COMMIT").ok());
  migrator.join();
}

TEST(MigratorTest, WidensARevisionThatIsTooNarrow) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute("ALTER TABLE users ADD revision integer DEFAULT 5");
  const auto result = Migrate(database);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->report.breaches, IsEmpty());
  EXPECT_EQ(Dump(database, "revision"), "(5)\n(5)\n(5)\n(5)");
}

TEST(MigratorTest, GivesAnOlderHistoryTheColumnsThatItLacks) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  database.Execute(
      "CREATE TABLE userprofile_migrations (version integer PRIMARY KEY,"
      " name text NOT NULL, sha256 text NOT NULL,"
      " applied_at timestamptz NOT NULL DEFAULT now())");
  const migrations::Migration& first = migrations::Embedded().front();
  // As an older program writes it.
  const std::string insert = absl::StrCat(
      "INSERT INTO userprofile_migrations (version, name, sha256) VALUES (");
  database.Execute(absl::StrCat(insert, first.version, ", '", first.name,
                                "', '", first.sha256, "')"));
  auto status = ReadMigrationStatus(*database.Connect());
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->front().state, MigrationState::kApplied);

  ASSERT_TRUE(Migrate(database).ok());
  status = ReadMigrationStatus(*database.Connect());
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(status->front().role, "");
  EXPECT_EQ(status->back().role, "userprofile");
  database.Execute(absl::StrCat(insert, "99, 'older', 'x')"));
}

TEST(MigratorTest, TakesNoOtherTablesHistoryForItsOwn) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  // Another users table, found first, without a history beside it.
  database.Execute(
      "CREATE SCHEMA bot; CREATE TABLE bot.users (user_id bigint PRIMARY KEY);"
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = bot, "
      "public', current_database()); END $$");
  EXPECT_EQ(base::ErrorReason(Migrate(database).status()), kMigrationRefused);
  MigrateOptions options;
  options.new_table = true;
  const auto result = schema::Migrate(database.session_factory(), options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->applied.size(), migrations::Embedded().size());
  EXPECT_EQ(database.Execute("SELECT count(*) FROM bot.userprofile_migrations")
                .Int64(0, 0),
            static_cast<std::int64_t>(migrations::Embedded().size()));
}

TEST(MigratorTest, LeavesATableOfOthersThatHasTheHistorysName) {
  testing::TestDatabase database;
  database.Execute("CREATE TABLE userprofile_migrations (id integer)");
  EXPECT_THAT(std::string(Migrate(database).status().message()),
              HasSubstr("is no history of this service's migrations"));
  EXPECT_EQ(database
                .Execute("SELECT count(*) FROM pg_attribute WHERE attnum > 0"
                         " AND attrelid = 'userprofile_migrations'::regclass")
                .Int64(0, 0),
            1);
}

TEST(MigratorTest, FillsTheRestOfWhatAnEarlierRunFilled) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  database.Execute(
      "ALTER TABLE users ADD extra integer, ADD CHECK (user_id <> 7);"
      "INSERT INTO users (user_id) SELECT generate_series(-3, 6);"
      "UPDATE users SET extra = 1 WHERE user_id < 2");
  const migrations::Migration fill = {
      18, "fill", "x",
      "UPDATE users SET extra = coalesce(extra, 0) + 2"
      " WHERE user_id > $1 AND user_id <= $2 AND extra IS NULL",
      migrations::Kind::kBatches};
  for (int run = 0; run < 2; ++run) {
    const auto session = database.Connect();
    const absl::Status status = BackFill(*session, fill, {}, 3);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(Dump(database, "extra"),
              "(1)\n(1)\n(1)\n(1)\n(1)\n(2)\n(2)\n(2)\n(2)\n(2)");
  }
}

TEST(MigratorTest, LeavesNoPartOfAnIndexThatCanNotBeUnique) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  database.Execute(
      "DROP INDEX idx_users_nickname; INSERT INTO users (user_id, nickname)"
      " VALUES (1, 'same'), (2, 'same')");
  const auto session = database.Connect();
  const auto build = [&] {
    return BuildIndex(*session, database.session_factory(), {},
                      "idx_users_nickname",
                      "CREATE UNIQUE INDEX CONCURRENTLY idx_users_nickname"
                      " ON users (nickname)");
  };
  const absl::Status status = build();
  EXPECT_EQ(base::ErrorReason(status), kMigrationRefused) << status;
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("same")));
  EXPECT_TRUE(
      database.Execute("SELECT to_regclass('idx_users_nickname') IS NULL")
          .Bool(0, 0));
  database.Execute("UPDATE users SET nickname = 'other' WHERE user_id = 2");
  EXPECT_TRUE(build().ok());
  EXPECT_TRUE(build().ok());
}

TEST(MigratorTest, SetsNoTimeLimitToWhatTakesLong) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  // To look for obstacles takes long as well then.
  database.Execute(
      "INSERT INTO users (user_id) VALUES (1);"
      "CREATE FUNCTION slow() RETURNS boolean LANGUAGE sql VOLATILE AS"
      " 'SELECT pg_sleep(0.3) IS NOT NULL';"
      "ALTER TABLE users ADD CHECK (slow()) NOT VALID");
  const auto connect =
      [&]() -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
    auto session = database.Connect();
    const auto set = session->ExecuteScript("SET statement_timeout = 100");
    if (!set.ok()) return set.status();
    return session;
  };
  const Migrations slow =
      EmbeddedAnd({{18, "slow", "x", "SELECT pg_sleep(0.3)"}});
  MigrateOptions options;
  options.migrations = slow;
  const auto result = schema::Migrate(connect, options);
  EXPECT_TRUE(result.ok()) << result.status();
}

}  // namespace
}  // namespace userprofile::schema
