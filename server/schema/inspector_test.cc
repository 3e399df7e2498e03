#include "server/schema/inspector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/postgres/errors.h"
#include "server/schema/damages_testing.h"
#include "server/schema/migrator.h"
#include "server/schema/obstacles.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::userprofile::testing::TestDatabase;

Report InspectOrDie(postgres::Session& session) {
  auto report = Inspect(session);
  EXPECT_TRUE(report.ok()) << report.status();
  session.ExecuteScript("RESET search_path").status().IgnoreError();
  return report.ok() ? *std::move(report) : Report();
}

std::vector<std::string> Objects(const Report& report) {
  std::vector<std::string> objects;
  for (const Breach& breach : report.breaches) objects.push_back(breach.object);
  return objects;
}

// Runs what the breaches say, the first one's SQL, then that of the one that is
// first then, until there is none or the advice ends.
void RunAdvice(postgres::Session& session) {
  std::string before;
  for (int i = 0; i < 30; ++i) {
    const Report report = InspectOrDie(session);
    if (report.breaches.empty()) return;
    const std::string& remedy = report.breaches.front().remedy;
    if (remedy == before) return;
    before = remedy;
    for (const std::string& sql : SqlIn(remedy)) {
      const absl::Status status = session.ExecuteScript(sql).status();
      EXPECT_TRUE(status.ok()) << sql << "\n" << remedy << "\n" << status;
    }
  }
}

TEST(InspectorTest, NamesEveryColumnThatTheLegacyTableLacks) {
  TestDatabase database;
  CreateLegacyTable(database);
  const Report report = InspectOrDie(*database.Connect());

  std::vector<std::string> missing;
  for (const Breach& breach : report.breaches) {
    if (breach.found == kMissing && absl::StartsWith(breach.object, "users.")) {
      missing.push_back(breach.object);
    }
  }
  std::vector<std::string> added;
  for (const Column& column : UsersContract().columns) {
    const std::string name = column.name;
    if (name == "user_id" || name == "is_active" || name == "created_at") {
      continue;
    }
    added.push_back("users." + name);
  }
  EXPECT_THAT(missing, ElementsAreArray(added));
  EXPECT_TRUE(report.migrations_pending);
  EXPECT_THAT(std::string(report.ToStatus().message()),
              ::testing::MatchesRegex(
                  "users.username is missing \\(and [0-9]+ more breaches of "
                  "the schema\\); run 'userprofile-server migrate up'"));
}

TEST(InspectorTest, NamesAMissingTable) {
  TestDatabase database;
  const Report report = InspectOrDie(*database.Connect());
  EXPECT_THAT(Objects(report), ElementsAre("users"));
  EXPECT_EQ(report.ToStatus().message(),
            "users is missing; run 'userprofile-server migrate up'");
}

TEST(InspectorTest, FindsNothingWrongWithATableThatIsAsNeeded) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  const Report report = InspectOrDie(*database.Connect());
  EXPECT_THAT(Objects(report), IsEmpty());
  EXPECT_TRUE(report.ToStatus().ok());
}

TEST(InspectorTest, NamesEveryDamageAndHowToMendIt) {
  TestDatabase database;
  for (const Damage& damage : Damages()) {
    SCOPED_TRACE(damage.sql);
    CreateUnmigratedTable(database);
    database.Execute(damage.sql);
    const auto session = database.Connect();
    const Report report = InspectOrDie(*session);
    ASSERT_FALSE(report.breaches.empty());
    EXPECT_EQ(report.breaches.front().object, damage.object);
    EXPECT_EQ(report.breaches.front().severity, damage.severity);
    EXPECT_EQ(report.ToStatus().ok(), damage.severity == Severity::kAdvisory);

    if (!damage.remedy_mends) continue;
    const std::string rows = Dump(database, "\"Coins\"");
    RunAdvice(*session);
    EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty())
        << FormatText(report);
    EXPECT_EQ(Dump(database, "\"Coins\""), rows);
  }
}

TEST(InspectorTest, AcceptsAForeignColumnThatFillsItself) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ADD a integer NOT NULL DEFAULT 1,"
      " ADD b bigint NOT NULL GENERATED ALWAYS AS IDENTITY,"
      " ADD c text NOT NULL GENERATED ALWAYS AS (a::text) STORED");
  EXPECT_THAT(Objects(InspectOrDie(*database.Connect())), IsEmpty());
}

TEST(InspectorTest, NamesWhatTheRoleMayNotDo) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  const auto session = database.Connect();
  const std::string role = "inspector_test_role";
  database.Execute(absl::StrCat("CREATE ROLE ", role,
                                "; GRANT USAGE ON SCHEMA public TO ", role));
  ASSERT_TRUE(session->ExecuteScript(absl::StrCat("SET ROLE ", role)).ok());

  Report report = InspectOrDie(*session);
  EXPECT_THAT(Objects(report),
              ElementsAre("rights on users", "rights on userprofile_changes",
                          "rights on userprofile_token_key",
                          "rights on userprofile_sessions"));
  EXPECT_EQ(report.breaches[0].found, "no SELECT, INSERT, UPDATE, DELETE");
  EXPECT_EQ(report.breaches[1].found, "no SELECT, INSERT, DELETE");
  EXPECT_EQ(report.breaches[1].object, "rights on userprofile_changes");

  for (const Breach& breach : report.breaches) database.Execute(breach.remedy);
  EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty());

  database.Execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY");
  report = InspectOrDie(*session);
  ASSERT_THAT(report.breaches, SizeIs(1));
  EXPECT_EQ(report.breaches[0].found, "row-level security");
  EXPECT_EQ(report.breaches[0].severity, Severity::kBlocking);

  database.Execute(absl::StrCat("DROP OWNED BY ", role, "; DROP ROLE ", role));
}

TEST(InspectorTest, LeavesAloneRulesAndTriggersThatChangeNothing) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  // An AFTER trigger can't change what was written.
  database.Execute(R"sql(
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER after AFTER INSERT ON users FOR EACH ROW
  EXECUTE FUNCTION nothing();
CREATE TRIGGER statement BEFORE INSERT ON users EXECUTE FUNCTION nothing();
CREATE TRIGGER deletes BEFORE DELETE ON users FOR EACH ROW
  EXECUTE FUNCTION nothing();
CREATE TRIGGER disabled BEFORE UPDATE ON users FOR EACH ROW
  EXECUTE FUNCTION nothing();
ALTER TABLE users DISABLE TRIGGER disabled;
CREATE RULE deletes AS ON DELETE TO users DO ALSO SELECT 1;
)sql");
  EXPECT_THAT(Objects(InspectOrDie(*database.Connect())), IsEmpty());
}

// What hangs on the table of changes is named; it stops no call, and upkeep is
// not even that.
TEST(InspectorTest, NamesWhatOthersHungOnTheTableOfChanges) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER INDEX userprofile_changes_user_id_xid_idx SET (fillfactor = 90);"
      "CREATE INDEX left_over ON userprofile_changes (kind);"
      "UPDATE pg_index SET indisvalid = false"
      " WHERE indexrelid = 'left_over'::regclass");
  EXPECT_THAT(Objects(InspectOrDie(*database.Connect())), IsEmpty());
  database.Execute(
      "CREATE UNIQUE INDEX mine ON userprofile_changes (user_id, xid)");
  const Report report = InspectOrDie(*database.Connect());
  EXPECT_THAT(Objects(report), ElementsAre("userprofile_changes"));
  EXPECT_EQ(report.breaches[0].severity, Severity::kAdvisory);
}

// Without it sessions fail, and nothing else.
TEST(InspectorTest, WhatIsWrongWithTheTableOfSessionsIsAdviceAndKeepsItUnused) {
  const auto is_usable = [](const Report& report) {
    return report.usable_tables.contains("userprofile_sessions");
  };
  for (const char* damage :
       {"DROP TABLE userprofile_sessions",
        "ALTER TABLE userprofile_sessions ADD mine text",
        "ALTER TABLE userprofile_sessions ALTER bot TYPE varchar(9)",
        "ALTER TABLE userprofile_sessions SET UNLOGGED",
        "ALTER TABLE userprofile_sessions ALTER value TYPE text USING ''",
        "ALTER TABLE userprofile_sessions DROP CONSTRAINT "
        "userprofile_sessions_pkey",
        "DROP INDEX userprofile_sessions_user_id_idx",
        "DROP INDEX userprofile_sessions_expires_at_idx"}) {
    TestDatabase database;
    CreateUnmigratedTable(database);
    EXPECT_TRUE(is_usable(InspectOrDie(*database.Connect())));
    database.Execute(damage);
    const Report report = InspectOrDie(*database.Connect());
    EXPECT_THAT(Objects(report), ElementsAre("userprofile_sessions")) << damage;
    EXPECT_EQ(report.breaches[0].severity, Severity::kAdvisory) << damage;
    EXPECT_FALSE(is_usable(report)) << damage;
  }
  // What others hung on it does not keep it from being used.
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute("CREATE INDEX mine ON userprofile_sessions (revision)");
  const Report report = InspectOrDie(*database.Connect());
  EXPECT_THAT(Objects(report), ElementsAre("userprofile_sessions"));
  EXPECT_TRUE(is_usable(report));
}

TEST(InspectorTest, NamesConstraintsOfOthersThatCouldRefuseAUser) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  const auto session = database.Connect();
  database.Execute(
      "CREATE TABLE tracks (track text PRIMARY KEY, coins integer UNIQUE);"
      "CREATE UNIQUE INDEX harmless ON users (user_id, username);"
      "CREATE UNIQUE INDEX theirs ON users (\"Coins\");"
      "ALTER TABLE users ADD CHECK (\"Coins\" > 0),"
      " ADD FOREIGN KEY (\"Coins\") REFERENCES tracks (coins) NOT VALID");
  EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty());

  database.Execute(
      "CREATE UNIQUE INDEX a ON users (username) INCLUDE (user_id);"
      "CREATE UNIQUE INDEX b ON users (lower(username));"
      "ALTER TABLE users ADD CONSTRAINT \"C\" UNIQUE (phone),"
      " ADD CONSTRAINT d CHECK (grade_year <> 'x'),"
      " ADD CONSTRAINT e FOREIGN KEY (study_track) REFERENCES tracks");
  const Report report = InspectOrDie(*session);
  ASSERT_THAT(report.breaches, SizeIs(1));
  EXPECT_EQ(report.breaches[0].found,
            "constraints or unique indexes: \"C\", a, b, d, e");
  EXPECT_TRUE(report.ToStatus().ok());
}

TEST(InspectorTest, NamesWhatOthersHungOnTheTableAndHowToBeRidOfIt) {
  struct Meddler {
    const char* sql;  // what others did
    const char* found;
    Severity severity;
    bool refuses_updates = false;
  };
  constexpr Severity kAdvisory = Severity::kAdvisory;
  constexpr Severity kBlocking = Severity::kBlocking;
  constexpr Meddler kMeddlers[] = {
      {"CREATE RULE r AS ON UPDATE TO users DO INSTEAD NOTHING", "rules: r",
       kBlocking},
      // PostgreSQL refuses ON CONFLICT even then.
      {"CREATE RULE r AS ON UPDATE TO users DO ALSO SELECT 1;"
       "ALTER TABLE users DISABLE RULE r",
       "rules: r", kBlocking},
      {"CREATE PUBLICATION p FOR ALL TABLES;"
       "ALTER TABLE users REPLICA IDENTITY NOTHING",
       "for publications: p", kBlocking, true},
      {"CREATE PUBLICATION p FOR TABLE users;"
       "CREATE UNIQUE INDEX i ON users (user_id, revision);"
       "ALTER TABLE users REPLICA IDENTITY USING INDEX i; DROP INDEX i",
       "for publications: p", kBlocking, true},
      {"CREATE PUBLICATION p FOR TABLE users WHERE (is_active)",
       "in publications: p", kBlocking, true},
      {"CREATE PUBLICATION p FOR TABLE users (nickname)",
       "column lists without it", kBlocking, true},
      {"CREATE PUBLICATION p FOR TABLE users (user_id, phone);"
       "ALTER TABLE users REPLICA IDENTITY FULL",
       "column lists without it", kBlocking, true},
      {"CREATE TABLE whole (LIKE users) PARTITION BY RANGE (user_id);"
       "ALTER TABLE whole ATTACH PARTITION users"
       " FOR VALUES FROM (1) TO (1000)",
       "partition of: public.whole", kBlocking},
      {"CREATE COLLATION c (provider = icu, locale = 'und-u-ks-level2',"
       " deterministic = false);"
       "ALTER TABLE users ALTER nickname TYPE varchar COLLATE c,"
       " ALTER username TYPE varchar COLLATE c",
       "nondeterministic collation", kBlocking},
      {"CREATE COLLATION c (provider = icu, locale = 'und-u-ks-level2',"
       " deterministic = false); DROP INDEX idx_users_nickname;"
       "CREATE UNIQUE INDEX idx_users_nickname ON users (nickname COLLATE c)",
       "nondeterministic collation", kBlocking},
      {"ALTER EXTENSION plpgsql ADD TABLE users",
       "owned by the extension: plpgsql", kAdvisory},
      {"CREATE TABLE base (phone text); ALTER TABLE users INHERIT base",
       "inherits from: public.base", kAdvisory},
      {"ALTER TABLE users ADD CONSTRAINT n CHECK (\"Coins\" > 15) NOT VALID",
       "NOT VALID constraints: n", kAdvisory, true},
      // What refers to a constraint has to go first.
      {"ALTER TABLE users ADD CONSTRAINT u UNIQUE (username);"
       "CREATE TABLE f (u varchar REFERENCES users (username));"
       "CREATE UNIQUE INDEX v ON users (phone)",
       "constraints or unique indexes: u, v", kAdvisory},
      {"CREATE TABLE \"Log\" (n integer);"
       "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS"
       " $$ BEGIN INSERT INTO \"Log\" VALUES (1); RETURN NEW; END $$;"
       "CREATE TRIGGER t AFTER UPDATE ON users EXECUTE FUNCTION t()",
       "as users are written: public.t()", kAdvisory},
      {"CREATE TABLE words (word text);"
       "CREATE FUNCTION is_word(text) RETURNS boolean LANGUAGE sql AS"
       " 'SELECT NOT EXISTS (SELECT FROM Words WHERE word = $1)';"
       "ALTER TABLE users ADD CHECK (is_word(\"Coins\"::text))",
       "as users are written: public.is_word(text)", kAdvisory},
      {"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS"
       " $$ BEGIN RETURN NEW; END $$;"
       "CREATE TRIGGER \"T\" BEFORE UPDATE ON users FOR EACH ROW"
       " EXECUTE FUNCTION t()",
       "BEFORE triggers: \"T\"", kAdvisory},
  };
  TestDatabase database;
  for (const Meddler& meddler : kMeddlers) {
    SCOPED_TRACE(meddler.sql);
    CreateUnmigratedTable(database);
    database.Execute("DROP PUBLICATION IF EXISTS p");
    database.Execute(meddler.sql);
    const auto session = database.Connect();
    const auto update = [&] {
      return session
          ->ExecuteScript("UPDATE users SET phone = 'x' WHERE user_id = 1")
          .ok();
    };
    EXPECT_EQ(update(), !meddler.refuses_updates);
    const Report report = InspectOrDie(*session);
    ASSERT_FALSE(report.breaches.empty());
    EXPECT_THAT(report.breaches[0].found, HasSubstr(meddler.found));
    EXPECT_EQ(report.breaches[0].severity, meddler.severity);
    RunAdvice(*session);
    EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty());
    EXPECT_TRUE(update());
  }
  database.Execute("DROP PUBLICATION IF EXISTS p");
}

// A filter of what identifies a row refuses nothing.
TEST(InspectorTest, AcceptsPublicationsThatRefuseNothing) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "CREATE PUBLICATION a FOR TABLE users (user_id, phone)"
      "  WHERE (user_id > 5);"
      "CREATE PUBLICATION b FOR TABLE users WHERE (is_active)"
      " WITH (publish = 'insert');"
      "UPDATE users SET phone = 'x'");
  EXPECT_THAT(Objects(InspectOrDie(*database.Connect())), IsEmpty());
}

TEST(InspectorTest, NamesADatabaseThatCanNotHoldEveryName) {
  TestDatabase database;
  const auto admin = database.Connect();
  for (const auto& [encoding, severity] :
       {std::make_pair("LATIN1", Severity::kBlocking),
        std::make_pair("SQL_ASCII", Severity::kAdvisory)}) {
    ASSERT_TRUE(
        admin
            ->ExecuteScript(absl::StrCat(
                "CREATE DATABASE inspector_test_old ENCODING '", encoding,
                "' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"))
            .ok());
    postgres::ConnectOptions options;
    options.conninfo =
        absl::StrCat(database.conninfo(), " dbname=inspector_test_old");
    const auto connect = [&] { return postgres::Connect(options); };
    EXPECT_EQ(Migrate(connect).ok(), severity == Severity::kAdvisory);
    const auto session = connect();
    ASSERT_TRUE(session.ok()) << session.status();
    const Report report = InspectOrDie(**session);
    EXPECT_THAT(report.breaches.back().found,
                absl::StrCat("encoding: ", encoding));
    EXPECT_EQ(report.breaches.back().severity, severity);
    for (const std::string& sql : SqlIn(report.breaches.back().remedy)) {
      EXPECT_TRUE(admin->ExecuteScript(sql).ok()) << sql;
    }
    EXPECT_TRUE(
        admin->ExecuteScript("DROP DATABASE inspector_test_old_utf8").ok());
    EXPECT_TRUE(
        admin->ExecuteScript("DROP DATABASE inspector_test_old (FORCE)").ok());
  }
}

TEST(InspectorTest, NamesASequenceThatTheRoleMayNotDrawFrom) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ADD id serial; CREATE ROLE inspector_test_drawer;"
      "GRANT USAGE ON SCHEMA public TO inspector_test_drawer;"
      "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO inspector_test_drawer;"
      "GRANT SELECT, INSERT, DELETE ON userprofile_changes TO "
      "inspector_test_drawer;"
      "GRANT SELECT, INSERT, UPDATE, DELETE ON userprofile_sessions TO "
      "inspector_test_drawer;"
      "GRANT SELECT ON userprofile_token_key TO inspector_test_drawer");
  const auto session = database.Connect();
  const auto inspect = [&] {
    return *Inspect(*session, migrations::Embedded(), "inspector_test_drawer");
  };
  const Report report = inspect();
  ASSERT_THAT(Objects(report), ElementsAre("rights on sequences"));
  database.Execute(report.breaches[0].remedy);
  EXPECT_THAT(Objects(inspect()), IsEmpty());
  database.Execute(
      "DROP OWNED BY inspector_test_drawer; DROP ROLE inspector_test_drawer");
}

// With the SQLSTATE, by which others try again.
TEST(InspectorTest, SaysInWordsThatOthersHoldTheTable) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  const auto other = database.Connect();
  ASSERT_TRUE(
      other->ExecuteScript("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
          .ok());
  const auto session = database.Connect();
  const absl::Status status = Inspect(*session).status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_EQ(postgres::SqlState(status), "55P03");
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("others hold the table users"), Not(HasSubstr("ERROR"))));
  const std::vector<std::string> sql = SqlIn(status.message());
  ASSERT_THAT(sql, SizeIs(1));
  EXPECT_EQ(session->ExecuteScript(sql[0])->Text(0, 0),
            other->ExecuteScript("SELECT pg_backend_pid()")->Text(0, 0));
  ASSERT_TRUE(other->ExecuteScript("COMMIT").ok());
  EXPECT_TRUE(Inspect(*session).ok());
}

TEST(InspectorTest, UnderstandsAServerThatQuotesAllNames) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET"
      " quote_all_identifiers = on', current_database()); END $$");
  EXPECT_THAT(Objects(InspectOrDie(*database.Connect())), IsEmpty());
}

TEST(InspectorTest, LooksAtTheRightsOfAnotherRole) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  postgres::ConnectOptions options;
  options.conninfo =
      absl::StrCat(database.conninfo(), " options=-csearch_path=elsewhere");
  const auto session = *postgres::Connect(options);
  database.Execute(
      "CREATE ROLE inspector_test_other; CREATE SCHEMA elsewhere;"
      "ALTER TABLE users SET SCHEMA elsewhere;"
      "ALTER TABLE userprofile_changes SET SCHEMA elsewhere;"
      "ALTER TABLE userprofile_sessions SET SCHEMA elsewhere;"
      "ALTER TABLE userprofile_token_key SET SCHEMA elsewhere;"
      "GRANT SELECT ON elsewhere.users, elsewhere.userprofile_token_key"
      " TO inspector_test_other");
  EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty());

  const auto inspect = [&] {
    return Inspect(*session, migrations::Embedded(), "inspector_test_other");
  };
  auto report = inspect();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(Objects(*report),
              ElementsAre("rights on users", "rights on schema elsewhere",
                          "rights on userprofile_changes",
                          "rights on userprofile_sessions"));
  for (const Breach& breach : report->breaches) {
    ASSERT_TRUE(session->ExecuteScript(breach.remedy).ok()) << breach.remedy;
  }
  EXPECT_THAT(Objects(*inspect()), IsEmpty());

  // It may serve without that.
  database.Execute(
      "CREATE TABLE elsewhere.userprofile_migrations (version integer, name "
      "text, sha256 text, applied_at timestamptz)");
  report = inspect();
  EXPECT_THAT(Objects(*report),
              ElementsAre("rights on userprofile_migrations"));
  EXPECT_TRUE(report->ToStatus().ok());
  ASSERT_TRUE(session->ExecuteScript(report->breaches[0].remedy).ok());
  EXPECT_THAT(Objects(*inspect()), IsEmpty());

  // The owner still sees every row, the other one would not.
  database.Execute("ALTER TABLE elsewhere.users ENABLE ROW LEVEL SECURITY");
  EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty());
  EXPECT_THAT(Objects(*inspect()), ElementsAre("users"));

  database.Execute(
      "DROP OWNED BY inspector_test_other; DROP ROLE inspector_test_other");
  EXPECT_TRUE(absl::IsInvalidArgument(inspect().status()));
}

TEST(InspectorTest, SeesThatNothingIsPendingAnyMore) {
  TestDatabase database;
  ASSERT_TRUE(Migrate(database.session_factory()).ok());
  database.Execute("ALTER TABLE users DROP COLUMN first_name");
  const Report report = InspectOrDie(*database.Connect());
  EXPECT_EQ(report.ToStatus().message(),
            "users.first_name is missing; run 'userprofile-server schema "
            "repair'");
}

TEST(InspectorTest, FailsWithoutAVerdictWhenTheConnectionIsLost) {
  TestDatabase database;
  const auto session = database.Connect();
  database.CutConnections();
  EXPECT_TRUE(absl::IsUnavailable(Inspect(*session).status()));
}

TEST(InspectorTest, AddsTheColumnOfOnboardingWithWhatIsKnownOfIt) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "UPDATE users SET real_name = 'Ali' WHERE user_id = 1;"
      "ALTER TABLE users DROP onboarding_completed");
  const auto report = Inspect(*database.Connect());
  ASSERT_TRUE(report.ok()) << report.status();
  database.Execute(report->breaches.front().remedy);
  EXPECT_EQ(Dump(database, "user_id, onboarding_completed"), "(1,t)\n(2,f)");
}

}  // namespace
}  // namespace userprofile::schema
