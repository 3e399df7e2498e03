#include "server/schema/inspector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/postgres/errors.h"
#include "server/schema/damages_testing.h"
#include "server/schema/migrator.h"
#include "server/schema/obstacles.h"
#include "server/schema/plan.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::userprofile::testing::TestDatabase;

Report InspectOrDie(postgres::Session& session) {
  auto report = Inspect(session);
  EXPECT_TRUE(report.ok()) << report.status();
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
  EXPECT_THAT(
      missing,
      ElementsAre("users.username", "users.first_name", "users.last_name",
                  "users.language_code", "users.onboarding_completed",
                  "users.real_name", "users.nickname", "users.study_track",
                  "users.grade_band", "users.grade_year", "users.phone",
                  "users.last_seen_at", "users.updated_at",
                  "users.last_activity", "users.revision"));
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
  ASSERT_THAT(report.breaches, SizeIs(1));
  EXPECT_EQ(report.breaches[0].found, "no SELECT, INSERT, UPDATE");

  database.Execute(report.breaches[0].remedy);
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
       "partition of: whole", kBlocking},
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
       "inherits from: base", kAdvisory},
      {"ALTER TABLE users ADD CONSTRAINT n CHECK (\"Coins\" > 15) NOT VALID",
       "NOT VALID constraints: n", kAdvisory, true},
      // What refers to a constraint has to go first.
      {"ALTER TABLE users ADD CONSTRAINT u UNIQUE (username);"
       "CREATE TABLE f (u varchar REFERENCES users (username));"
       "CREATE UNIQUE INDEX v ON users (phone)",
       "constraints or unique indexes: u, v", kAdvisory},
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
      "GRANT SELECT, INSERT, UPDATE ON users TO inspector_test_drawer");
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

TEST(InspectorTest, SeesTelegramIdsInAnotherColumnAndNoneWhereThereAreNone) {
  TestDatabase database;
  struct Case {
    const char* sql;
    bool is_seen;
  };
  for (const Case& c : std::vector<Case>{
           {"ADD tg_id bigint; UPDATE users SET tg_id = 700 + user_id", true},
           {"ADD \"telegramUserId\" text;"
            "UPDATE users SET \"telegramUserId\" = '70' || user_id",
            true},
           {"ADD chat_id bigint UNIQUE; UPDATE users SET chat_id = 7 + user_id",
            true},
           {"ADD id_tg text; UPDATE users SET id_tg = 700 + user_id", true},
           {"ADD tguid text; UPDATE users SET tguid = 700 + user_id", true},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD uid text;"
            "UPDATE users SET uid = 70 + user_id;"
            "CREATE UNIQUE INDEX ON users (uid) WHERE uid IS NOT NULL",
            true},
           // Once counted up, and its default dropped.
           {"ADD uid bigint UNIQUE; UPDATE users SET uid = 70 + user_id;"
            "CREATE SEQUENCE s OWNED BY users.user_id",
            true},
           // Unique among the users of one bot.
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD uid bigint,"
            " ADD bot bigint; UPDATE users SET uid = 700000000 + user_id,"
            " bot = 7111111111; CREATE UNIQUE INDEX ON users (bot, uid)",
            true},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD no bigint,"
            " ADD bot bigint; UPDATE users SET no = 9 + user_id,"
            " bot = 7111111111; CREATE UNIQUE INDEX ON users (bot, no)",
            false},
           {"ADD uid bigint UNIQUE; UPDATE users SET uid = 70 + user_id",
            false},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD uid bigint;"
            "UPDATE users SET uid = 70 + user_id",
            false},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY,"
            " ADD phone_number text UNIQUE, ADD no serial UNIQUE;"
            "UPDATE users SET phone_number = 70 + user_id, no = 9 + user_id",
            false},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD uid bigint"
            " UNIQUE; UPDATE users SET uid = 7 + user_id; COMMENT ON COLUMN"
            " users.user_id IS 'Telegram user id'",
            false},
           {"ADD tg_id bigint; UPDATE users SET tg_id = 700 + user_id; COMMENT"
            " ON COLUMN users.user_id IS 'Telegram user id'",
            false},
           {"ADD chat_id bigint; UPDATE users SET chat_id = 7 + user_id",
            false},
           {"ADD chat_id bigint UNIQUE; UPDATE users SET chat_id = -user_id",
            false},
           {"ADD telegram_id text; UPDATE users SET telegram_id = user_id",
            false},
           {"ADD telegram_id text UNIQUE", false},
           {"ADD telegram_id text; UPDATE users SET telegram_id = '@u'", false},
           {"ADD id serial", false},
           {"ADD referrer_id bigint; UPDATE users SET referrer_id = 7", false},
       }) {
    SCOPED_TRACE(c.sql);
    CreateUnmigratedTable(database);
    database.Execute(absl::StrCat("ALTER TABLE users ", c.sql));
    const Report report = InspectOrDie(*database.Connect());
    EXPECT_EQ(absl::StrContains(FormatText(report), "another number than in"),
              c.is_seen);
  }
}

// One line of the advice on each thing that is wrong.
std::string Advice(const TestDatabase& database, const std::string& role) {
  const auto session = database.Connect();
  const auto report = Inspect(*session, migrations::Embedded(), role);
  std::string text;
  for (const Breach& breach : report->breaches) {
    absl::StrAppend(&text, breach.remedy, "\n");
  }
  return absl::StrCat(text,
                      *FindObstacles(*session, migrations::Embedded(), false));
}

TEST(InspectorTest, PrintsOnlyStatementsThatRunAndLeadOn) {
  TestDatabase database;
  const struct {
    const char* sql;
    const char* advice;
    std::size_t alternatives = 1;
    bool leads_on = true;  // else it shows what a person must see
  } kCases[] = {
      {"REVOKE ALL ON users FROM inspector_test_role", "GRANT SELECT"},
      {"REVOKE USAGE ON SCHEMA public FROM inspector_test_role",
       "GRANT USAGE ON SCHEMA"},
      {"ALTER TABLE users ENABLE ROW LEVEL SECURITY", "BYPASSRLS", 2},
      {"ALTER TABLE users ADD CONSTRAINT n CHECK (\"Coins\" > 1) NOT VALID",
       "VALIDATE CONSTRAINT n", 2},
      {"ALTER TABLE users ADD telegram_id bigint;"
       "UPDATE users SET telegram_id = 70 + user_id",
       "COMMENT ON COLUMN", 2},
      {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
       "INSERT INTO users (user_id) VALUES (1)",
       "HAVING count(*) > 1", 1, false},
      {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
       "ALTER TABLE users ALTER user_id DROP NOT NULL;"
       "INSERT INTO users (user_id) VALUES (NULL)",
       "WHERE user_id IS NULL", 1, false},
      {"ALTER TABLE users ADD CONSTRAINT n CHECK (\"Coins\" > 15) NOT VALID",
       "SELECT * FROM users WHERE NOT", 2, false},
  };
  database.Execute("CREATE ROLE inspector_test_role");
  for (const auto& test : kCases) {
    for (std::size_t i = 0; i < test.alternatives; ++i) {
      SCOPED_TRACE(absl::StrCat(test.sql, ", alternative ", i));
      CreateUnmigratedTable(database);
      database.Execute(
          "GRANT USAGE ON SCHEMA public TO inspector_test_role;"
          "GRANT SELECT, INSERT, UPDATE ON users TO inspector_test_role;"
          "ALTER ROLE inspector_test_role NOBYPASSRLS");
      database.Execute(test.sql);
      std::string advice = Advice(database, "inspector_test_role");
      EXPECT_THAT(advice, HasSubstr(test.advice));
      for (int round = 0; round < 8 && !advice.empty(); ++round) {
        for (const absl::string_view line : absl::StrSplit(advice, '\n')) {
          if (!test.leads_on && !absl::StrContains(line, "SELECT")) continue;
          for (const std::string& sql : SqlIn(line, i)) database.Execute(sql);
          if (test.leads_on) break;  // the rest may be about what that mends
        }
        if (!test.leads_on) break;
        advice = Advice(database, "inspector_test_role");
      }
      EXPECT_EQ(advice.empty(), test.leads_on);
    }
  }
  database.Execute(
      "DROP OWNED BY inspector_test_role; DROP ROLE inspector_test_role");
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

// Whoever may create functions must not have them run by the migrator.
TEST(InspectorTest, CallsNoFunctionThatOthersPlanted) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(R"sql(
DO $do$
DECLARE
  signature text;
BEGIN
  FOREACH signature IN ARRAY ARRAY['quote_ident(name)', 'lower(name)',
    'format(text, name)', 'format(text, text)', 'format(text, text, text)',
    'format(text, name, name)', 'format(text, regclass)',
    'format(text, regclass, name)', 'concat(text, text)',
    'concat_ws(text, text, text)', 'to_regclass(name)', 'to_jsonb(users)',
    'to_jsonb(pg_index)', 'array_to_string(text[], text)',
    'replace(name, text, text)', 'regexp_replace(name, text, text)']
  LOOP
    EXECUTE format('CREATE FUNCTION public.%s RETURNS text LANGUAGE plpgsql AS'
      ' $$ BEGIN RAISE ''planted''; END $$', signature);
  END LOOP;
END
$do$;
ALTER TABLE users ADD telegram_id bigint;
UPDATE users SET telegram_id = 700 + user_id;
)sql");
  const auto session = database.Connect();
  EXPECT_FALSE(InspectOrDie(*session).breaches.empty());
  EXPECT_TRUE(MakePlan(database.session_factory()).ok());
  for (const char* sql :
       {"ALTER TABLE users DROP CONSTRAINT users_pkey, ADD id serial PRIMARY "
        "KEY",
        "ALTER TABLE users RENAME user_id TO tg_id",
        "ALTER TABLE users RENAME TO people"}) {
    database.Execute(sql);
    EXPECT_FALSE(InspectOrDie(*session).breaches.empty());
  }
}

TEST(InspectorTest, LooksAtTheRightsOfAnotherRole) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  const auto session = database.Connect();
  database.Execute(
      "CREATE ROLE inspector_test_other; CREATE SCHEMA elsewhere;"
      "ALTER TABLE users SET SCHEMA elsewhere;"
      "GRANT SELECT ON elsewhere.users TO inspector_test_other");
  ASSERT_TRUE(session->ExecuteScript("SET search_path = elsewhere").ok());
  EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty());

  const auto inspect = [&] {
    return Inspect(*session, migrations::Embedded(), "inspector_test_other");
  };
  auto report = inspect();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(Objects(*report),
              ElementsAre("rights on users", "rights on schema elsewhere"));
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

TEST(InspectorTest, SaysWhereTheTableMayBe) {
  TestDatabase database;
  ASSERT_TRUE(Migrate(database.session_factory()).ok());
  const auto session = database.Connect();
  const auto remedy = [&] {
    const Report report = InspectOrDie(*session);
    return report.breaches.empty() ? "" : report.breaches.front().remedy;
  };

  database.Execute("ALTER TABLE users RENAME TO people");
  EXPECT_THAT(remedy(), HasSubstr("ALTER TABLE public.people RENAME TO users"));

  database.Execute(
      "ALTER TABLE people RENAME TO users; CREATE SCHEMA \"My bot\";"
      "ALTER TABLE users SET SCHEMA \"My bot\"");
  EXPECT_THAT(remedy(), HasSubstr("SET search_path = \"My bot\""));

  // A role that may not look into the schema does not find the table.
  database.Execute(
      "CREATE ROLE inspector_test_stranger;"
      "GRANT USAGE ON SCHEMA public TO inspector_test_stranger");
  ASSERT_TRUE(session
                  ->ExecuteScript("SET search_path = \"My bot\", public;"
                                  "SET ROLE inspector_test_stranger")
                  .ok());
  EXPECT_THAT(remedy(), HasSubstr("GRANT USAGE ON SCHEMA \"My bot\" TO "
                                  "inspector_test_stranger"));
  ASSERT_TRUE(session->ExecuteScript("RESET ROLE").ok());
  database.Execute(
      "DROP OWNED BY inspector_test_stranger;"
      "DROP ROLE inspector_test_stranger");

  database.Execute(
      "ALTER TABLE \"My bot\".users SET SCHEMA public; DROP TABLE users");
  ASSERT_TRUE(session->ExecuteScript("RESET search_path").ok());
  EXPECT_THAT(remedy(), HasSubstr("restore a backup"));
  EXPECT_FALSE(Migrate(database.session_factory()).ok());
  ASSERT_THAT(remedy(), HasSubstr("after DROP TABLE userprofile_migrations"));
  database.Execute("DROP TABLE userprofile_migrations");
  EXPECT_TRUE(Migrate(database.session_factory()).ok());
}

TEST(InspectorTest, IsNotContentWithAnotherTableThanTheMigratedOne) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "CREATE SCHEMA bot; ALTER TABLE users SET SCHEMA bot;"
      "CREATE TABLE users (LIKE bot.users INCLUDING ALL)");
  // As long as nobody knows which one is right, the search path does.
  EXPECT_THAT(Objects(InspectOrDie(*database.Connect())),
              Not(Contains("schema of users")));

  database.Execute("CREATE TABLE bot.userprofile_migrations ()");
  const Report wrong = InspectOrDie(*database.Connect());
  ASSERT_FALSE(wrong.breaches.empty());
  EXPECT_EQ(wrong.breaches.front().object, "schema of users");
  EXPECT_THAT(wrong.breaches.front().remedy,
              HasSubstr("SET search_path = bot"));
  // Not to migrate the wrong one.
  EXPECT_THAT(std::string(wrong.ToStatus().message()),
              HasSubstr("run 'userprofile-server schema check'"));
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
