// Whoever may create in the schema of a fresh database makes a table users
// before anybody migrates; and bots that made theirs rightly.

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "server/schema/backup.h"
#include "server/schema/damages_testing.h"
#include "server/schema/inspector.h"
#include "server/schema/migrator.h"
#include "server/schema/repair.h"
#include "server/schema/write_trial.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::HasSubstr;

// Once anything of it runs, the sequence tells, which no rollback takes back.
// A cast to json is what a row is read with.
constexpr char kPlant[] = R"sql(
CREATE SEQUENCE ran;
GRANT ALL ON SEQUENCE ran TO PUBLIC;
CREATE TYPE cunning AS ENUM ('x');
CREATE FUNCTION as_json(cunning) RETURNS json LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_catalog.nextval('public.ran'); RETURN '1'; END $$;
CREATE CAST (cunning AS json) WITH FUNCTION as_json(cunning);
CREATE FUNCTION pull() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_catalog.nextval('public.ran'); RETURN NEW; END $$;
CREATE FUNCTION taste(bigint) RETURNS boolean LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_catalog.nextval('public.ran'); RETURN true; END $$;
CREATE TABLE users (user_id bigint PRIMARY KEY, telegram_id bigint,
  revision bigint, lure cunning, CHECK (taste(user_id)) NOT VALID);
INSERT INTO users VALUES (1, 700000001, 0, 'x'), (2, 700000002, 0, 'x');
ALTER SEQUENCE ran RESTART;
CREATE TRIGGER pull BEFORE INSERT OR UPDATE ON users FOR EACH ROW
  EXECUTE FUNCTION pull();
GRANT ALL ON users TO PUBLIC)sql";

class OwnerTest : public ::testing::Test {
 protected:
  OwnerTest() {
    Forget();
    database_.Execute(
        "CREATE ROLE owner_test_mallory LOGIN;"
        "CREATE ROLE owner_test_migrator LOGIN;"
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO"
        " owner_test_migrator', current_database()); END $$;"
        "GRANT USAGE, CREATE ON SCHEMA public TO owner_test_mallory,"
        " owner_test_migrator");
  }
  ~OwnerTest() override { Forget(); }

  void Forget() {
    database_.Execute(
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT rolname FROM"
        " pg_roles WHERE rolname LIKE 'owner_test_%' LOOP"
        " EXECUTE format('DROP OWNED BY %1$I CASCADE; DROP ROLE %1$I', name);"
        " END LOOP; END $$");
  }

  postgres::SessionFactory As(const std::string& role) const {
    return [conninfo = absl::StrCat(database_.conninfo(), " user=", role)]()
               -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
      postgres::ConnectOptions options;
      options.conninfo = conninfo;
      return postgres::Connect(options);
    };
  }

  void Run(const std::string& role, const std::string& sql) {
    const auto session = As(role)();
    ASSERT_TRUE(session.ok()) << session.status();
    const absl::Status status =
        (*session)
            ->ExecuteScript(
                absl::StrCat("SET search_path = public, pg_catalog;", sql))
            .status();
    ASSERT_TRUE(status.ok()) << status;
  }

  std::int64_t Number(absl::string_view sql) {
    return database_.Execute(sql).Int64(0, 0);
  }

  testing::TestDatabase database_;
};

void ExpectRefused(const absl::Status& status) {
  EXPECT_EQ(base::ErrorReason(status), kMigrationRefused) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("belongs to owner_test_mallory"));
}

TEST_F(OwnerTest, RefusesATableThatWasPlantedBeforeTheFirstMigration) {
  Run("owner_test_mallory", kPlant);
  // With a history of hers, too, that says that all was done.
  for (const bool has_history : {false, true}) {
    if (has_history) {
      std::string history =
          "CREATE TABLE userprofile_migrations (version integer PRIMARY KEY,"
          " name text, sha256 text, applied_at timestamptz DEFAULT now());"
          "GRANT ALL ON userprofile_migrations TO PUBLIC;";
      for (const migrations::Migration& m : migrations::Embedded()) {
        absl::StrAppend(&history, "INSERT INTO userprofile_migrations VALUES (",
                        m.version, ", '", m.name, "', '", m.sha256, "');");
      }
      Run("owner_test_mallory", history);
    }
    const std::string super(
        database_.Execute("SELECT current_user").Text(0, 0));
    for (const std::string& role :
         {super, std::string("owner_test_migrator")}) {
      SCOPED_TRACE(absl::StrCat(role, has_history ? " with a history" : ""));
      const auto connect = As(role);
      ExpectRefused(Migrate(connect).status());
      ExpectRefused(Baseline(connect).status());
      ExpectRefused(PlanMigrations(connect).status());
      ExpectRefused(Repair(connect, {}).status());
      RepairOptions dry_run;
      dry_run.dry_run = true;
      ExpectRefused(Repair(connect, dry_run).status());
      // To look says it as well, where it is not a role that only serves.
      const auto session = connect();
      ASSERT_TRUE(session.ok());
      const auto report = Inspect(**session);
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_EQ(std::count_if(report->breaches.begin(), report->breaches.end(),
                              [](const Breach& breach) {
                                return absl::StrContains(breach.found,
                                                         "owner_test_mallory");
                              }),
                role == super || !has_history ? 1 : 0);
      TryToWrite(**session, *report);
      EXPECT_FALSE(
          database_.Execute("SELECT is_called FROM public.ran").Bool(0, 0));
    }
  }
  EXPECT_EQ(Number("SELECT count(*) FROM public.users"), 2);
}

// The restored table would be hers, with all users in it.
TEST_F(OwnerTest, RestoresNoBackupIntoAPlantedTable) {
  const testing::TempDir directory;
  CreateLegacyTable(database_);
  const std::string file = directory / "users.dump";
  ASSERT_TRUE(
      CreateBackup(database_.session_factory(), database_.conninfo(), file)
          .ok());
  database_.Execute(
      "DROP TABLE public.users CASCADE;"
      "GRANT ALL ON SCHEMA public TO owner_test_mallory");
  Run("owner_test_mallory", "CREATE TABLE users (user_id bigint PRIMARY KEY)");
  ExpectRefused(
      RestoreBackup(database_.session_factory(), database_.conninfo(), file, {})
          .status());
  EXPECT_EQ(Number("SELECT count(*) FROM public.users"), 0);
}

TEST_F(OwnerTest, AdoptsTheTableOfABot) {
  struct Case {
    const char* evidence;
    std::string role;
  };
  const std::string super(database_.Execute("SELECT current_user").Text(0, 0));
  for (const Case& c : {
           // Itself, or one that it is a member of.
           Case{"SELECT 1", "owner_test_mallory"},
           Case{"GRANT owner_test_mallory TO owner_test_migrator",
                "owner_test_migrator"},
           // Somebody who administers the database trusts it.
           Case{"DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO"
                " owner_test_mallory', current_database()); END $$",
                super},
           Case{"CREATE TABLE public.userprofile_migrations (version integer"
                " PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
                " applied_at timestamptz NOT NULL DEFAULT now())",
                super},
           // As is advised, to a superuser and to a role that is none.
           Case{nullptr, super},
           Case{nullptr, "owner_test_migrator"},
       }) {
    SCOPED_TRACE(c.evidence == nullptr ? "the advice" : c.evidence);
    Forget();
    database_.Execute(
        "CREATE ROLE owner_test_mallory LOGIN;"
        "CREATE ROLE owner_test_migrator LOGIN;"
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
        "GRANT ALL ON SCHEMA public TO PUBLIC");
    Run("owner_test_mallory", kPlant);
    Run("owner_test_mallory",
        "ALTER TABLE users DROP telegram_id, DROP CONSTRAINT "
        "users_user_id_check");
    if (c.evidence != nullptr) {
      database_.Execute(c.evidence);
    } else {
      const absl::Status refused = Migrate(As(c.role)).status();
      ExpectRefused(refused);
      for (const std::string& sql : SqlIn(std::string(refused.message()))) {
        database_.Execute(sql);
      }
      EXPECT_EQ(database_
                    .Execute("SELECT tableowner FROM pg_catalog.pg_tables"
                             " WHERE tablename = 'users'")
                    .Text(0, 0),
                c.role);
    }
    const auto migrated = Migrate(As(c.role));
    EXPECT_TRUE(migrated.ok()) << migrated.status();
    // The bot goes on.
    Run("owner_test_mallory", "INSERT INTO users (user_id) VALUES (3)");
  }
}

}  // namespace
}  // namespace userprofile::schema
