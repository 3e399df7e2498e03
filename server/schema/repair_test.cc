#include "server/schema/repair.h"

#include <algorithm>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/schema/damages_testing.h"
#include "server/schema/inspector.h"
#include "server/schema/migrator.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using State = RepairOutcome::State;

RepairResult RepairOrDie(const testing::TestDatabase& database,
                         const RepairOptions& options = {}) {
  auto result = Repair(database.session_factory(), options);
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : RepairResult();
}

std::string ReasonsOf(const RepairResult& result) {
  std::string reasons;
  for (const RepairOutcome& outcome : result.outcomes) {
    absl::StrAppend(&reasons, outcome.reason, "\n");
  }
  return reasons;
}

int Count(const testing::TestDatabase& database, const char* query) {
  return static_cast<int>(database.Execute(query).Int64(0, 0));
}

TEST(RepairTest, DoesNothingWhereNothingIsWrong) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  RepairOptions options;
  options.before_first_change = [](const RepairResult&) {
    return absl::InternalError("there is nothing to back up");
  };
  EXPECT_THAT(RepairOrDie(database, options).outcomes, IsEmpty());
}

TEST(RepairTest, MendsEveryDamageOrRefusesWithAReason) {
  testing::TestDatabase database;
  for (const Damage& damage : Damages()) {
    SCOPED_TRACE(damage.sql);
    CreateUnmigratedTable(database);
    database.Execute(damage.sql);

    const RepairResult result = RepairOrDie(database);
    SCOPED_TRACE(FormatText(result));
    EXPECT_THAT(result.outcomes, Not(IsEmpty()));
    for (const RepairOutcome& outcome : result.outcomes) {
      EXPECT_NE(outcome.state, State::kPlanned);
      EXPECT_EQ(outcome.reason.empty(), outcome.state == State::kDone);
    }
    if (damage.refusal == nullptr) {
      EXPECT_THAT(result.report.breaches, IsEmpty());
      EXPECT_EQ(Count(database, "SELECT count(*) FROM users"), 2);
      EXPECT_EQ(Dump(database, "\"Coins\""), "(10)\n(20)");
    }
    const RepairResult again = RepairOrDie(database);
    for (const RepairOutcome& outcome : again.outcomes) {
      EXPECT_EQ(outcome.state, State::kRefused) << FormatText(again);
    }
  }
}

// Without the mark, nobody reads the table from one end to the other while all
// others wait for it.
TEST(RepairTest, HoldsTheTableForAScanOnlyWhereThePlanSaysSo) {
  testing::TestDatabase database;
  database.Execute(R"sql(
CREATE SCHEMA watch;
CREATE TABLE watch.held (statement text);
CREATE FUNCTION watch.rows_read() RETURNS bigint LANGUAGE sql AS
  $$ SELECT coalesce(sum(seq_tup_read), 0)::bigint
     FROM pg_stat_xact_user_tables
     WHERE relid = to_regclass('public.users') $$;
CREATE FUNCTION watch.start() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN
    PERFORM set_config('watch.rows', watch.rows_read()::text, false);
  END $$;
CREATE FUNCTION watch.finish() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN
    IF watch.rows_read() > current_setting('watch.rows')::bigint
      AND EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid()
                  AND relation = to_regclass('public.users')
                  AND mode = 'AccessExclusiveLock') THEN
      INSERT INTO watch.held VALUES (current_query());
    END IF;
  END $$;
CREATE EVENT TRIGGER start ON ddl_command_start
  EXECUTE FUNCTION watch.start();
CREATE EVENT TRIGGER finish ON ddl_command_end
  EXECUTE FUNCTION watch.finish())sql");
  int held = 0;
  for (const Damage& damage : Damages()) {
    SCOPED_TRACE(damage.sql);
    CreateUnmigratedTable(database);
    database.Execute(damage.sql);
    database.Execute("TRUNCATE watch.held");
    const RepairResult result = RepairOrDie(database);
    const bool marked = std::any_of(
        result.outcomes.begin(), result.outcomes.end(),
        [](const RepairOutcome& o) { return o.step.rewrites_table; });
    const auto statements =
        database.Execute("SELECT string_agg(statement, '; ') FROM watch.held");
    held += statements.IsNull(0, 0) ? 0 : 1;
    if (!marked) {
      EXPECT_EQ(statements.Text(0, 0), "");
    }
  }
  EXPECT_GT(held, 0);  // it sees them
}

// Migration, repair and the advice of a check.
TEST(RepairTest, EverybodySaysTheSameOfWhoWasOnboarded) {
  testing::TestDatabase database;
  const auto onboarded_after = [&](const std::function<void()>& mend) {
    CreateUnmigratedTable(database);
    database.Execute(
        "INSERT INTO users (user_id, real_name, nickname)"
        " SELECT 10 + i, r, repeat(n, i::integer) FROM (SELECT r, n,"
        "   row_number() OVER () AS i FROM"
        "   unnest(ARRAY[NULL, '', ' ', E'\\t\\n', U&'\\00a0', 'x']) AS r,"
        "   unnest(ARRAY[NULL, ' ', E'\\t\\n', U&'\\00a0', 'x']) AS n) AS v;"
        "INSERT INTO users (user_id, real_name, nickname)"
        " VALUES (9, 'x', '');"
        "ALTER TABLE users DROP onboarding_completed");
    mend();
    return Dump(database, "user_id, onboarding_completed");
  };
  const std::string migrated = onboarded_after(
      [&] { EXPECT_TRUE(Migrate(database.session_factory()).ok()); });
  EXPECT_EQ(Count(database,
                  "SELECT count(*) FROM users WHERE onboarding_completed"
                  " AND nickname LIKE 'x%' AND real_name = 'x'"),
            1);
  EXPECT_EQ(onboarded_after([&] { RepairOrDie(database); }), migrated);
  EXPECT_EQ(onboarded_after([&] {
              const Report report = *Inspect(*database.Connect());
              for (const Breach& breach : report.breaches) {
                if (breach.object == "users.onboarding_completed") {
                  database.Execute(breach.remedy);
                }
              }
            }),
            migrated);
}

TEST(RepairTest, WidensAColumnThatAnotherOneIsGeneratedFrom) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ALTER username TYPE varchar(64);"
      "ALTER TABLE users DROP phone;"
      "ALTER TABLE users ADD phone text GENERATED ALWAYS AS"
      " (coalesce(username, '') || '!') STORED");
  const RepairResult result = RepairOrDie(database);
  EXPECT_THAT(result.report.breaches, IsEmpty()) << FormatText(result);
}

TEST(RepairTest, ChangesNothingInADryRun) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users DROP phone, ALTER user_id TYPE integer;"
      "DROP INDEX idx_users_nickname; UPDATE users SET nickname = 'secret'");
  const std::string before = Dump(database, "*");
  const std::string report = FormatJson(*Inspect(*database.Connect()));

  RepairOptions options;
  options.dry_run = true;
  options.before_first_change = [](const RepairResult&) {
    return absl::InternalError("a dry run needs no backup");
  };
  const RepairResult result = RepairOrDie(database, options);
  EXPECT_EQ(Dump(database, "*"), before);
  EXPECT_EQ(FormatJson(*Inspect(*database.Connect())), report);

  ASSERT_THAT(result.outcomes, SizeIs(3));
  EXPECT_EQ(result.outcomes[0].step.actions[0].sql,
            "ALTER TABLE public.users ADD COLUMN phone text");
  EXPECT_EQ(result.outcomes[0].state, State::kPlanned);
  EXPECT_TRUE(result.outcomes[1].step.rewrites_table);
  EXPECT_EQ(result.outcomes[2].state, State::kRefused);
  EXPECT_THAT(
      result.outcomes[2].reason,
      HasSubstr("1 nicknames are used by more than one user: users 1, 2"));
}

TEST(RepairTest, ListsTheUsersThatBlockTheUniqueIndexByTheirIds) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "DROP INDEX idx_users_nickname;"
      "INSERT INTO users (user_id, nickname, revision)"
      " SELECT i, 'secret' || i / 30, 2 FROM generate_series(10, 89) AS i");
  const std::string reasons = ReasonsOf(RepairOrDie(database));
  EXPECT_THAT(
      reasons,
      HasSubstr(
          "3 nicknames are used by more than one user: users 10, 11, 12, "));
  EXPECT_THAT(reasons, HasSubstr("; users 30, 31, "));
  EXPECT_THAT(reasons, HasSubstr(" 49 and 10 more; users 60, "));
  EXPECT_THAT(reasons, Not(HasSubstr("secret")));

  // And builds it once they have decided.
  database.Execute("UPDATE users SET nickname = user_id WHERE user_id > 2");
  EXPECT_THAT(RepairOrDie(database).report.breaches, IsEmpty());
}

TEST(RepairTest, MakesABackupFirstOrNothing) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute("ALTER TABLE users DROP phone");
  RepairOptions options;
  options.before_first_change = [](const RepairResult&) {
    return absl::ResourceExhaustedError("the disk is full");
  };
  const auto result = Repair(database.session_factory(), options);
  EXPECT_EQ(result.status().message(), "the disk is full");
  EXPECT_FALSE(Inspect(*database.Connect())->breaches.empty());
}

TEST(RepairTest, GoesOnWithWhatItCanDo) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ALTER first_name TYPE varchar(64);"
      "CREATE VIEW names AS SELECT first_name FROM users;"
      "ALTER TABLE users DROP phone; DROP INDEX idx_users_grade_year");
  const RepairResult result = RepairOrDie(database);
  ASSERT_THAT(result.report.breaches, SizeIs(1));
  EXPECT_EQ(result.report.breaches[0].object, "users.first_name");
  EXPECT_THAT(ReasonsOf(result),
              HasSubstr("create it again: DROP VIEW public.names"));
}

// What says that user_id is no Telegram id must not be mended away.
TEST(RepairTest, LeavesACountedKeyUntilAPersonHasDecided) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ALTER user_id ADD GENERATED BY DEFAULT AS IDENTITY,"
      " ADD uid bigint UNIQUE; UPDATE users SET uid = 700000000 + user_id");
  EXPECT_THAT(ReasonsOf(RepairOrDie(database)), HasSubstr("users.uid"));
  EXPECT_FALSE(RepairOrDie(database).report.breaches.empty());
  database.Execute("COMMENT ON COLUMN users.user_id IS 'Telegram user id'");
  EXPECT_THAT(RepairOrDie(database).report.breaches, IsEmpty());
}

TEST(RepairTest, FillsWhatWasLostFromWhatIsKnown) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "UPDATE users SET real_name = 'Ali' WHERE user_id = 1;"
      "CREATE TABLE log (user_id bigint);"
      "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql"
      " SET search_path = public AS $$ BEGIN INSERT INTO log VALUES "
      "(NEW.user_id); RETURN NEW; END $$;"
      "CREATE TRIGGER log AFTER UPDATE ON users FOR EACH ROW"
      " EXECUTE FUNCTION log();"
      "ALTER TABLE users DROP onboarding_completed, DROP created_at");
  EXPECT_THAT(RepairOrDie(database).report.breaches, IsEmpty());
  EXPECT_EQ(Dump(database, "user_id, onboarding_completed"), "(1,t)\n(2,f)");
  EXPECT_EQ(Count(database,
                  "SELECT count(*) FROM users WHERE user_id = 1"
                  " AND created_at = '2025-02-03 04:05:06'"),
            1);
  EXPECT_EQ(Count(database, "SELECT count(*) FROM log"), 0);
}

TEST(RepairTest, RaisesRevisionsFromWhichAUserWouldLookNew) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute("UPDATE users SET revision = 2 - 2 * user_id");
  // Of which no breach tells.
  RepairOptions options;
  options.dry_run = true;
  const RepairResult plan = RepairOrDie(database, options);
  EXPECT_THAT(plan.outcomes, SizeIs(1));
  EXPECT_FALSE(plan.is_as_needed());
  EXPECT_THAT(FormatText(plan), Not(HasSubstr("as the service needs it")));

  const RepairResult result = RepairOrDie(database);
  EXPECT_THAT(result.outcomes, SizeIs(1));
  EXPECT_TRUE(result.is_as_needed());
  EXPECT_EQ(Dump(database, "user_id, revision"), "(1,1)\n(2,1)");
  EXPECT_THAT(RepairOrDie(database).outcomes, IsEmpty());
}

TEST(RepairTest, DropsTheConstraintThatAKilledRunLeft) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ADD CONSTRAINT userprofile_never_null"
      " CHECK (is_active IS NOT NULL)");
  EXPECT_TRUE(RepairOrDie(database).is_as_needed());
  EXPECT_EQ(Count(database,
                  "SELECT count(*) FROM pg_constraint"
                  " WHERE conname = 'userprofile_never_null'"),
            0);
}

TEST(RepairTest, ReplacesNullByWhatItMeantInBatches) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ALTER is_active DROP NOT NULL,"
      " ALTER is_active DROP DEFAULT;"
      "INSERT INTO users (user_id, is_active)"
      " SELECT i, CASE WHEN i % 10 = 0 THEN false END"
      " FROM generate_series(10, 20009) AS i");
  EXPECT_THAT(RepairOrDie(database).report.breaches, IsEmpty());
  EXPECT_EQ(Count(database, "SELECT count(*) FROM users WHERE NOT is_active"),
            2000);
}

TEST(RepairTest, EndsWhereATriggerPutsNullBack) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ALTER is_active DROP NOT NULL,"
      " ALTER is_active SET DEFAULT false;"
      "UPDATE users SET is_active = NULL;"
      "CREATE FUNCTION stubborn() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN NEW.is_active := NULL; RETURN NEW; END $$;"
      "CREATE TRIGGER stubborn BEFORE UPDATE ON users FOR EACH ROW"
      " EXECUTE FUNCTION stubborn()");
  const RepairResult result = RepairOrDie(database);
  EXPECT_THAT(ReasonsOf(result),
              HasSubstr("violates check constraint \"userprofile_never_null"));
  EXPECT_EQ(Count(database,
                  "SELECT count(*) FROM pg_constraint"
                  " WHERE conname = 'userprofile_never_null'"),
            0);
  EXPECT_THAT(ReasonsOf(result), HasSubstr("AFTER trigger"));
  // The default was set.
  EXPECT_THAT(ReasonsOf(result), Not(HasSubstr("did not help")));
}

TEST(RepairTest, SetsAsideAnIndexOfOthersThatHasOurName) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "DROP INDEX idx_users_nickname; CREATE UNIQUE INDEX idx_users_nickname "
      "ON users (lower(nickname))");
  // As it is unique, it can refuse users as before.
  const RepairResult result = RepairOrDie(database);
  ASSERT_THAT(result.outcomes, SizeIs(2));
  EXPECT_EQ(result.outcomes[1].state, State::kRefused);
  ASSERT_THAT(result.report.breaches, SizeIs(1));
  EXPECT_THAT(result.report.breaches[0].found,
              HasSubstr("idx_users_nickname_set_aside"));
  EXPECT_EQ(database
                .Execute("SELECT pg_get_indexdef("
                         "'idx_users_nickname_set_aside'::regclass)")
                .Text(0, 0),
            "CREATE UNIQUE INDEX idx_users_nickname_set_aside ON public.users "
            "USING btree (lower((nickname)::text))");

  database.Execute(
      "ALTER INDEX idx_users_nickname RENAME TO mine;"
      "CREATE INDEX idx_users_nickname ON users (upper(nickname))");
  RepairOrDie(database);
  EXPECT_EQ(Count(database,
                  "SELECT count(*) FROM pg_index WHERE indexrelid IN ("
                  "'idx_users_nickname_set_aside'::regclass,"
                  "'idx_users_nickname_set_aside_2'::regclass)"),
            2);
}

TEST(RepairTest, MakesAPrimaryKeyThoughAnOlderTableKeepsItsName) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users RENAME TO users_old;"
      "CREATE TABLE users (LIKE users_old INCLUDING DEFAULTS);"
      "INSERT INTO users SELECT * FROM users_old");
  RepairOrDie(database);
  EXPECT_EQ(database
                .Execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint"
                         " WHERE conrelid = 'users'::regclass")
                .Text(0, 0),
            "PRIMARY KEY (user_id)");
}

TEST(RepairTest, TakesNoOtherTablesIndexForItsOwn) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users DROP CONSTRAINT users_pkey;"
      "CREATE TABLE orders (id bigint);"
      "CREATE INDEX userprofile_users_pkey ON orders (id)");
  EXPECT_THAT(ReasonsOf(RepairOrDie(database)),
              HasSubstr("ALTER INDEX public.userprofile_users_pkey RENAME TO"));
  database.Execute("ALTER INDEX public.userprofile_users_pkey RENAME TO mine");
  EXPECT_THAT(RepairOrDie(database).report.breaches, IsEmpty());
}

TEST(RepairTest, DoesNotBringBackATableThatIsGone) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database.session_factory()).ok());
  database.Execute("ALTER TABLE users RENAME TO people");
  EXPECT_THAT(ReasonsOf(RepairOrDie(database)),
              HasSubstr("ALTER TABLE public.people RENAME TO users"));
  EXPECT_EQ(
      Count(database, "SELECT count(*) FROM pg_class WHERE relname = 'users'"),
      0);
}

TEST(RepairTest, GivesTheServingRoleItsRights) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute("CREATE ROLE repair_test_server");
  RepairOptions options;
  options.role = "repair_test_server";
  EXPECT_THAT(RepairOrDie(database, options).report.breaches, IsEmpty());
  EXPECT_THAT(RepairOrDie(database, options).outcomes, IsEmpty());
  database.Execute(
      "DROP OWNED BY repair_test_server; DROP ROLE repair_test_server");
}

TEST(RepairTest, SaysThatItNeedsTheOwner) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "CREATE ROLE repair_test_stranger;"
      "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO repair_test_stranger;"
      "GRANT SELECT, INSERT, DELETE ON userprofile_changes TO "
      "repair_test_stranger;"
      "GRANT SELECT, INSERT, UPDATE, DELETE ON userprofile_sessions TO "
      "repair_test_stranger;"
      "GRANT SELECT ON userprofile_token_key TO repair_test_stranger;"
      "GRANT USAGE ON SCHEMA public TO repair_test_stranger;"
      "ALTER TABLE users DROP phone; DROP INDEX idx_users_study_track");
  const auto result = Repair(
      [&]() -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
        auto session = database.Connect();
        session->ExecuteScript("SET ROLE repair_test_stranger")
            .status()
            .IgnoreError();
        return session;
      },
      {});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->outcomes, SizeIs(2));
  for (const RepairOutcome& outcome : result->outcomes) {
    EXPECT_THAT(outcome.reason, HasSubstr("as the role that owns users"));
  }
  database.Execute(
      "DROP OWNED BY repair_test_stranger; DROP ROLE repair_test_stranger");
}

TEST(RepairTest, WaitsForAMigratorToFinish) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  RepairOptions options;
  options.migrator_wait = absl::ZeroDuration();
  const auto migrator = database.Connect();
  ASSERT_TRUE(LockSchema(*migrator, options).ok());
  const auto result = Repair(database.session_factory(), options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(RepairTest, GivesWayToTrafficThatHoldsTheTable) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute("ALTER TABLE users DROP phone");
  const auto holder = database.Connect();
  ASSERT_TRUE(holder->ExecuteScript("BEGIN; SELECT * FROM users").ok());

  RepairOptions options;
  options.lock_timeout = absl::Milliseconds(10);
  options.attempt_pause = absl::Milliseconds(5);
  options.attempts = 2;
  EXPECT_THAT(ReasonsOf(RepairOrDie(database, options)),
              HasSubstr("others held the table all the time"));

  ASSERT_TRUE(holder->ExecuteScript("COMMIT").ok());
  EXPECT_THAT(RepairOrDie(database, options).report.breaches, IsEmpty());
}

}  // namespace
}  // namespace userprofile::schema
