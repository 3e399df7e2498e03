#include "server/schema/write_trial.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/postgres/errors.h"
#include "server/schema/damages_testing.h"
#include "server/schema/inspector.h"
#include "server/schema/migrator.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A name that only shows when the function runs; a function that calls another;
// an operator that is others'; a trigger that waits for the commit, or for a
// change of one column.
constexpr const char* kLost[] = {
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE"
    " format('INSERT INTO %I VALUES ($1)', TG_ARGV[0]) USING NEW.user_id;"
    " RETURN NULL; END $$; CREATE TRIGGER t AFTER INSERT ON users"
    " FOR EACH ROW EXECUTE FUNCTION f('audit')",
    "CREATE FUNCTION g(bigint) RETURNS void LANGUAGE plpgsql AS"
    " $$ BEGIN INSERT INTO audit VALUES ($1); END $$;"
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM public.g(NEW.user_id); RETURN NULL; END $$;"
    "CREATE TRIGGER t AFTER UPDATE OF phone ON users FOR EACH ROW"
    " WHEN (old.phone IS DISTINCT FROM new.phone) EXECUTE FUNCTION f()",
    "CREATE FUNCTION meet(bigint, bigint) RETURNS boolean LANGUAGE sql AS"
    " $$ SELECT true $$; CREATE OPERATOR ~~~ (FUNCTION = meet,"
    "  LEFTARG = bigint, RIGHTARG = bigint);"
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN IF NEW.user_id ~~~ 1 THEN RETURN NULL; END IF; RETURN NULL;"
    " END $$; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON users"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f()",
};

class WriteTrialTest : public ::testing::Test {
 protected:
  WriteTrialTest() {
    CreateUnmigratedTable(database_);
    database_.Execute(
        "CREATE TABLE audit (user_id bigint);"
        "CREATE SEQUENCE numbers");
  }

  absl::optional<Breach> Try(postgres::Session& session) {
    const auto report = Inspect(session);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? TryToWrite(session, *report) : absl::nullopt;
  }

  std::int64_t Number(absl::string_view sql) {
    return database_.Execute(sql).Int64(0, 0);
  }

  testing::TestDatabase database_;
  const std::unique_ptr<postgres::Session> session_ = database_.Connect();
};

TEST_F(WriteTrialTest, TellsOfWhatIsOnlyFoundOnTheSearchPath) {
  for (const char* sql : kLost) {
    SCOPED_TRACE(sql);
    database_.Execute(sql);
    // The text of the function does not show it.
    EXPECT_THAT(Inspect(*session_)->breaches, IsEmpty());
    const absl::Status write =
        session_
            ->ExecuteScript(
                "INSERT INTO :users (user_id) VALUES (700);"
                "UPDATE :users SET phone = 'x' WHERE user_id = 700")
            .status();
    EXPECT_FALSE(write.ok());

    const auto breach = Try(*session_);
    ASSERT_TRUE(breach.has_value());
    EXPECT_EQ(breach->severity, Severity::kAdvisory);
    EXPECT_THAT(Describe(*breach), HasSubstr("does not exist"));
    for (const std::string& remedy : SqlIn(breach->remedy)) {
      const absl::Status status = session_->ExecuteScript(remedy).status();
      EXPECT_TRUE(status.ok()) << status;
    }
    EXPECT_FALSE(Try(*session_).has_value());
    const absl::Status mended =
        session_
            ->ExecuteScript(
                "INSERT INTO :users (user_id) VALUES (700);"
                "UPDATE :users SET phone = 'x' WHERE user_id = 700;"
                "DELETE FROM :users WHERE user_id = 700")
            .status();
    EXPECT_TRUE(mended.ok()) << mended;
    database_.Execute("DROP FUNCTION f CASCADE; TRUNCATE audit");
    database_.Execute("DROP FUNCTION IF EXISTS g, meet CASCADE");
  }
}

TEST_F(WriteTrialTest, LeavesNothingBehindAndTellsOfNothingElse) {
  database_.Execute(
      "ALTER TABLE users ADD n bigint DEFAULT nextval('numbers')");
  const std::string before = Dump(database_, "*");
  const std::int64_t drawn = Number("SELECT last_value FROM numbers");
  // Without a function there is nothing to find out, and nothing is written.
  EXPECT_FALSE(Try(*session_).has_value());
  EXPECT_EQ(Number("SELECT last_value FROM numbers"), drawn);

  // One that refuses, and a row that breaks a constraint, are others' wish.
  database_.Execute(
      "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN INSERT INTO public.audit VALUES (NEW.user_id);"
      " IF NEW.phone = 'no' THEN RAISE 'no'; END IF; RETURN NULL; END $$;"
      "CREATE TRIGGER t AFTER INSERT OR UPDATE ON users"
      " FOR EACH ROW EXECUTE FUNCTION f()");
  EXPECT_FALSE(Try(*session_).has_value());
  EXPECT_EQ(Number("SELECT last_value FROM numbers"), drawn + 1);
  EXPECT_EQ(Number("SELECT count(*) FROM audit"), 0);
  EXPECT_EQ(Dump(database_, "*"), before);
  database_.Execute("ALTER TABLE users ADD CHECK (user_id < 1000)");
  EXPECT_FALSE(Try(*session_).has_value());

  // Nobody is kept waiting, and it waits for nobody for long.
  const auto other = database_.Connect();
  ASSERT_TRUE(
      other->ExecuteScript("BEGIN; LOCK public.users IN SHARE MODE").ok());
  EXPECT_FALSE(Try(*session_).has_value());
  EXPECT_TRUE(other->ExecuteScript("ROLLBACK").ok());
  EXPECT_TRUE(session_->healthy());
}

// Such as one that keeps a table for each month.
TEST_F(WriteTrialTest, WritesWhatContactsOfNowWrite) {
  database_.Execute(
      "DO $$ DECLARE at timestamptz; BEGIN FOR at IN SELECT unnest(ARRAY["
      " now(), now() + interval '10 minutes']) LOOP"
      " EXECUTE format('CREATE TABLE IF NOT EXISTS log_%s (user_id bigint)',"
      "  to_char(at, 'YYYY_MM')); END LOOP; END $$;"
      "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
      " EXECUTE format('INSERT INTO public.%I VALUES ($1)', 'log_' ||"
      "  to_char(NEW.last_seen_at, 'YYYY_MM')) USING NEW.user_id;"
      " RETURN NULL; END $$;"
      "CREATE TRIGGER t AFTER INSERT OR UPDATE ON users"
      " FOR EACH ROW EXECUTE FUNCTION f()");
  EXPECT_FALSE(Try(*session_).has_value());
}

class WriteTrialRolesTest : public WriteTrialTest {
 protected:
  WriteTrialRolesTest() {
    Forget();
    // The owner is trusted, and what it hung on the table fails.
    database_.Execute(
        absl::StrCat(kLost[0],
                     "; CREATE ROLE trial_owner LOGIN; CREATE ROLE trial_server"
                     " LOGIN; ALTER TABLE users OWNER TO trial_owner;"
                     "ALTER TABLE userprofile_changes OWNER TO trial_owner;"
                     "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I"
                     " TO trial_owner', current_database()); END $$;"
                     "GRANT USAGE ON SCHEMA public TO trial_owner,"
                     " trial_server; GRANT ALL ON users,"
                     " userprofile_changes TO trial_server"));
  }
  ~WriteTrialRolesTest() override { Forget(); }

  void Forget() {
    database_.Execute(
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT rolname FROM"
        " pg_roles WHERE rolname LIKE 'trial_%' LOOP"
        " EXECUTE format('DROP OWNED BY %1$I CASCADE; DROP ROLE %1$I', name);"
        " END LOOP; END $$");
  }

  bool IsTold(const std::string& role) {
    postgres::ConnectOptions options;
    options.conninfo = absl::StrCat(database_.conninfo(), " user=", role);
    const auto session = postgres::Connect(options);
    EXPECT_TRUE(session.ok()) << session.status();
    return session.ok() && Try(**session).has_value();
  }
};

TEST_F(WriteTrialRolesTest, TellsTheOwnerAndWhoMayDoNoMore) {
  EXPECT_TRUE(IsTold("trial_owner"));
  EXPECT_TRUE(IsTold("trial_server"));
  // As roles.sql has it.
  database_.Execute("GRANT pg_read_all_stats TO trial_server");
  EXPECT_TRUE(IsTold("trial_server"));
  // The owner's rights are its own to lend.
  database_.Execute("ALTER ROLE trial_owner CREATEROLE");
  EXPECT_TRUE(IsTold("trial_owner"));
}

// Else whoever owns the table could have what it hung on it run by an
// administrator who only looks.
TEST_F(WriteTrialRolesTest, RunsNothingForARoleThatMayDoMoreThanTheOwner) {
  EXPECT_FALSE(Try(*session_).has_value());
  struct Case {
    const char* grant;
    const char* revoke;
  };
  for (const Case& c : {
           Case{"ALTER ROLE trial_server SUPERUSER",
                "ALTER ROLE trial_server NOSUPERUSER"},
           Case{"ALTER ROLE trial_server CREATEROLE",
                "ALTER ROLE trial_server NOCREATEROLE"},
           Case{"ALTER ROLE trial_server CREATEDB",
                "ALTER ROLE trial_server NOCREATEDB"},
           Case{"ALTER ROLE trial_server BYPASSRLS",
                "ALTER ROLE trial_server NOBYPASSRLS"},
           Case{"ALTER ROLE trial_server REPLICATION",
                "ALTER ROLE trial_server NOREPLICATION"},
           Case{"GRANT trial_owner TO trial_server",
                "REVOKE trial_owner FROM trial_server"},
           Case{"GRANT pg_write_all_data TO trial_server",
                "REVOKE pg_write_all_data FROM trial_server"},
           Case{"CREATE ROLE trial_admins; GRANT pg_signal_backend TO"
                " trial_admins; GRANT trial_admins TO trial_server",
                "DROP ROLE trial_admins"},
       }) {
    database_.Execute(c.grant);
    EXPECT_FALSE(IsTold("trial_server")) << c.grant;
    database_.Execute(c.revoke);
    EXPECT_TRUE(IsTold("trial_server")) << c.revoke;
  }
  // A function could take back the role that was set.
  for (const char* role : {"trial_owner", "trial_server"}) {
    ASSERT_TRUE(session_->ExecuteScript(absl::StrCat("SET ROLE ", role)).ok());
    EXPECT_FALSE(Try(*session_).has_value()) << role;
    ASSERT_TRUE(session_->ExecuteScript("RESET ROLE").ok());
  }
}

TEST_F(WriteTrialTest, IsTheEndOfAMigration) {
  database_.Execute(kLost[0]);
  const auto migrated = Migrate(database_.session_factory());
  ASSERT_TRUE(migrated.ok()) << migrated.status();
  ASSERT_EQ(migrated->report.breaches.size(), 1);
  EXPECT_THAT(migrated->report.breaches[0].found, HasSubstr("\"audit\""));
}

}  // namespace
}  // namespace userprofile::schema
