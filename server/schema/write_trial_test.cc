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

// Else whoever owns the table could have what it hung on it run by an
// administrator who only looks.
TEST_F(WriteTrialTest, RunsNothingForARoleThatMayDoMoreThanTheOwner) {
  database_.Execute(
      absl::StrCat(kLost[0],
                   ";CREATE ROLE trial_owner; ALTER TABLE users OWNER TO "
                   "trial_owner"));
  EXPECT_FALSE(Try(*session_).has_value());
  // The owner, and a role that may no more, are told, unless nothing shows that
  // the owner is trusted.
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO"
      " trial_owner', current_database()); END $$;"
      "CREATE ROLE trial_server; GRANT USAGE ON SCHEMA public TO trial_owner,"
      " trial_server; GRANT ALL ON users TO trial_server");
  for (const char* role : {"trial_owner", "trial_server"}) {
    ASSERT_TRUE(session_->ExecuteScript(absl::StrCat("SET ROLE ", role)).ok());
    EXPECT_TRUE(Try(*session_).has_value()) << role;
    ASSERT_TRUE(session_->ExecuteScript("RESET ROLE").ok());
  }
  database_.Execute(
      "DROP OWNED BY trial_owner, trial_server CASCADE;"
      "DROP ROLE trial_owner, trial_server");
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
