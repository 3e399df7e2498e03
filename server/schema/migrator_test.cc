#include "server/schema/migrator.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "server/schema/damages_testing.h"
#include "server/schema/history.h"
#include "server/schema/inspector.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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
  std::vector<int> all;
  for (const auto& migration : migrations::Embedded()) {
    all.push_back(migration.version);
  }
  EXPECT_EQ(first->applied, all);
  EXPECT_THAT(first->report.breaches, IsEmpty());

  const auto second = Migrate(database);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(second->applied, IsEmpty());
  EXPECT_THAT(second->report.breaches, IsEmpty());
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

TEST(MigratorTest, UndoesALastMigrationThatBreaksTheContract) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  const auto result =
      Migrate(database, EmbeddedAnd({{kNextMigration, "bad", "x",
                                      "ALTER TABLE :users DROP first_name"}}));
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
      EmbeddedAnd(
          {{kNextMigration, "drop", "x", "ALTER TABLE :users DROP first_name"},
           {kNextMigration + 1, "add", "y",
            "ALTER TABLE :users ADD first_name character varying"}}));
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
  Migrations edited = EmbeddedAnd({{kNextMigration, "new", "x", "SELECT 1"}});
  edited[2].sha256 = "something else";
  const absl::Status status = Migrate(database, edited).status();
  EXPECT_EQ(base::ErrorReason(status), kMigrationChanged);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("008_fix_users_table_schema"));
  EXPECT_TRUE(Migrate(database).ok());
}

TEST(MigratorTest, AcceptsAHistoryThatKnowsMore) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database,
                      EmbeddedAnd({{kNextMigration, "later", "x", "SELECT 1"}}))
                  .ok());
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
  ASSERT_EQ(status->size(), migrations::Embedded().size());
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
        Migrate(database, EmbeddedAnd({{kNextMigration, "slow", "x",
                                        "ALTER TABLE :users ADD extra integer;"
                                        "SELECT pg_sleep(60)"}}))
            .status()));
  });
  AwaitTrue(database,
            "SELECT count(*) = 1 FROM pg_stat_activity"
            " WHERE query LIKE 'ALTER TABLE public.users ADD extra%'"
            " AND wait_event = 'PgSleep'");
  database.CutConnections();
  killed.join();
  EXPECT_FALSE(HasColumn(database, "extra"));

  const auto result = Migrate(
      database, EmbeddedAnd({{kNextMigration, "slow", "x",
                              "ALTER TABLE :users ADD extra integer"}}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->applied, ElementsAre(kNextMigration));
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
  EXPECT_EQ(applied, static_cast<int>(migrations::Embedded().size()));
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

// All were SQL then.
TEST(MigratorTest, KnowsTheChecksumsThatOlderProgramsWrote) {
  const std::vector<std::pair<int, std::string>> written = {
      {1, "a2f287b9f29aeffa617ca4db1bbf3c161143fe42f37056fd883a3ccbbf26e56c"},
      {4, "307350bc8ddb3460c87797fd1d95982dec7c4821defd02ed6d2ebd349813e0e3"},
      {8, "cb53d4e411063114e230aca7a97f47a17df56b14a5dd5b504734bedcc5fa8ef8"},
      {9, "20d6a21f15087e514d042628e20743827cd70a84852728dedb7f48e9bf7d4f0a"},
      {10, "2767183324cf155856421a58c0a3bf321246996ceafcc1040a9fd29e244e5a3f"},
      {11, "09ca0f37d440f9667bf644f6d7ae49bb72b43c8a4e77023b154cf19c005d2f76"},
      {12, "4d5a7a41108f91eb2a79c0332811fdaeef9b3e08faae2c538ade46e0b26ad24c"},
      {13, "bbe22602147ca3274fbbdec1101955340a2b5ffc82195a0b6a9fc6d92aefba25"},
      {14, "db252c439295e712d5367e305d52be15b7c2da68f9422add71a6d86d404dc6a6"},
      {15, "f6b177799a3e44ab5e5edb6a1bc8bab655edd0618b02c2b48e04d2a1c67230cf"},
      {16, "3013b86a021827170abe3a5bd286d6623cfd804c2b9ca7c8b2c4da8a2bdb9451"},
      {17, "3e6c2ace686273aca6e8eb8f249109e186fedc2fa65f76bef7fc11215c89e43c"},
  };
  std::vector<std::pair<int, std::string>> known;
  for (const migrations::Migration& migration : migrations::Embedded()) {
    if (migration.version > written.back().first) break;
    known.emplace_back(migration.version, migration.sha256);
  }
  EXPECT_EQ(known, written);
}

TEST(MigratorTest, SaysThatNoSchemaOfTheSearchPathExists) {
  testing::TestDatabase database;
  postgres::ConnectOptions options;
  options.conninfo =
      absl::StrCat(database.conninfo(), " options=-csearch_path=nowhere");
  const absl::Status status =
      schema::Migrate([&] { return postgres::Connect(options); }).status();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no schema of the search path (nowhere) exists"));
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

TEST(MigratorTest, RefusesAHistoryThatRunsWhatOthersWrote) {
  constexpr char kTrigger[] =
      "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN RETURN NEW; END $$;"
      "CREATE TRIGGER t AFTER INSERT ON userprofile_migrations"
      " EXECUTE FUNCTION f()";
  const struct {
    const char* sql;
    const char* words;
  } kCases[] = {
      {kTrigger, "has triggers; rename it: ALTER TABLE public.userprofile_"},
      {"CREATE RULE r AS ON INSERT TO userprofile_migrations DO NOTHING",
       "has rules"},
      {"CREATE ROLE migrator_test_other;"
       "ALTER TABLE userprofile_migrations OWNER TO migrator_test_other",
       "belongs to migrator_test_other, who is not the owner of users"},
      {"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;"
       "ALTER TABLE userprofile_migrations ALTER COLUMN role SET DEFAULT f()",
       "has defaults, checks or types"},
      {"CREATE FUNCTION f(text) RETURNS boolean LANGUAGE sql AS"
       " $$ SELECT true $$;"
       "ALTER TABLE userprofile_migrations ADD CHECK (f(role))",
       "has defaults, checks or types"},
      {"CREATE DOMAIN d AS text;"
       "ALTER TABLE userprofile_migrations ALTER COLUMN role TYPE d",
       "has defaults, checks or types"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.sql);
    testing::TestDatabase database;
    ASSERT_TRUE(Migrate(database).ok());
    database.Execute(test.sql);
    EXPECT_THAT(std::string(Migrate(database).status().message()),
                HasSubstr(test.words));
    // The service goes on.
    const auto report = Inspect(*database.Connect());
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->ToStatus().ok());
    ASSERT_EQ(report->breaches.size(), 1);
    EXPECT_THAT(report->breaches[0].found, HasSubstr("userprofile_migrations"));
    // As it says.
    database.Execute("ALTER TABLE userprofile_migrations RENAME TO theirs");
    EXPECT_TRUE(Migrate(database).ok());
    EXPECT_TRUE(Inspect(*database.Connect())->breaches.empty());
  }
}

// Nobody may be told to take away all that shows that there were users: the
// next run would make an empty table, and everybody new.
TEST(MigratorTest, ARefusedHistoryStillTellsThatThereWereUsers) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database).ok());
  database.Execute(
      "CREATE ROLE migrator_test_owner;"
      "ALTER TABLE userprofile_migrations OWNER TO migrator_test_owner;"
      "DROP TABLE users");
  const std::string refused(Migrate(database).status().message());
  EXPECT_THAT(refused, HasSubstr("restore a backup"));
  EXPECT_THAT(refused, Not(HasSubstr("ename")));
  const auto report = Inspect(*database.Connect());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->ToStatus().ok());
  const std::string text = FormatText(*report);
  EXPECT_THAT(text, HasSubstr("it was here"));
  EXPECT_THAT(text, Not(HasSubstr("ename")));
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
      EmbeddedAnd({{kNextMigration, "slow", "x", "SELECT pg_sleep(0.3)"}});
  MigrateOptions options;
  options.migrations = slow;
  const auto result = schema::Migrate(connect, options);
  EXPECT_TRUE(result.ok()) << result.status();
}

}  // namespace
}  // namespace userprofile::schema
