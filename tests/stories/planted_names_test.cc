// Whoever may create things in every schema of the search path, which even
// stands before PostgreSQL's own, plants everything there that the program's
// SQL could be taken to mean. Nothing of it ever runs, with nobody's rights.

#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;

// Whose search paths are hostile; and mallory, who made them so. What of hers
// runs leaves a trace that no rollback takes back.
constexpr char kRoles[] = R"sql(
CREATE ROLE planted_admin SUPERUSER LOGIN;
CREATE ROLE mallory LOGIN;
CREATE SCHEMA bot;
CREATE SCHEMA mallory AUTHORIZATION mallory;
GRANT USAGE, CREATE ON SCHEMA public, bot TO mallory;
GRANT USAGE ON SCHEMA bot TO planted_server, planted_migrator;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY
    '{planted_admin, planted_server, planted_migrator}'::text[] LOOP
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = '
      'public, bot, pg_catalog', name, current_database());
  END LOOP;
END
$$;
CREATE TABLE mallory.words (word text PRIMARY KEY);
GRANT SELECT ON mallory.words TO mallory;
)sql";

// In each schema: of every function, aggregate, type and relation that a word
// names, one by its name; functions with its arguments and with each of these
// replaced by others, which may fit better than PostgreSQL's own; operators for
// many pairs of types. What PostgreSQL does not let her make is left out.
constexpr char kPlant[] = R"sql(
SET search_path = pg_catalog;
CREATE SEQUENCE mallory.ran;
GRANT USAGE ON SCHEMA mallory TO PUBLIC;
GRANT ALL ON SEQUENCE mallory.ran TO PUBLIC;
CREATE FUNCTION mallory.taste(anyelement) RETURNS boolean LANGUAGE plpgsql
  AS $$ BEGIN PERFORM pg_catalog.nextval('mallory.ran'); RETURN true; END $$;
CREATE FUNCTION mallory.pull() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN PERFORM pg_catalog.nextval('mallory.ran'); RETURN NEW; END $$;
CREATE TYPE mallory.cunning AS (word text);
DO $do$
DECLARE
  types text[] := '{name, text, varchar, bpchar, "char", oid, regclass, int2,
    int4, int8, bool, timestamptz, timestamp, interval, float8, jsonb, text[],
    name[], anyelement, anyarray}';
  body text := $$ LANGUAGE plpgsql AS 'BEGIN PERFORM
    pg_catalog.nextval(''mallory.ran''); RAISE ''planted''; END' $$;
  sql text;
BEGIN
  FOR sql IN
    WITH place AS (SELECT unnest('{public, bot}'::text[]) AS place),
    ours AS (
      SELECT DISTINCT proname, pronargs, ARRAY(SELECT format_type(t, NULL)
        FROM unnest(proargtypes) WITH ORDINALITY AS a (t, n) ORDER BY n) AS args
      FROM pg_proc JOIN mallory.words ON word = proname
      WHERE pronamespace = 'pg_catalog'::regnamespace AND pronargs <= 4),
    signature AS (
      SELECT proname, args FROM ours
      UNION
      SELECT proname, args[1:i - 1] || t || args[i + 1:]
      FROM ours, generate_series(1, pronargs) AS i, unnest(types) AS t
      UNION
      SELECT proname, array_fill(t, ARRAY[n])
      FROM ours, generate_series(1, 4) AS n, unnest(types) AS t)
    SELECT format('CREATE FUNCTION %I.%I(%s) RETURNS text %s', place, proname,
      array_to_string(args, ', '), body)
    FROM place, signature
    UNION ALL
    SELECT format('CREATE FUNCTION mallory.meet(%s, %s) RETURNS boolean %s',
      l, r, body)
    FROM unnest(types) AS l, unnest(types) AS r
  LOOP
    BEGIN
      EXECUTE sql;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  FOR sql IN
    SELECT format('CREATE OPERATOR %s.%s (FUNCTION = mallory.meet, '
      'LEFTARG = %s, RIGHTARG = %s)', place, operator, l, r)
    FROM unnest('{public, bot}'::text[]) AS place,
      unnest('{=,<>,<,<=,>,>=,+,-,*,/,%,||,~,~~,!~~,!~,->,->>,#>>,&}'::text[])
        AS operator,
      unnest(types) AS l, unnest(types) AS r
    UNION ALL
    SELECT format('CREATE DOMAIN %I.%I AS pg_catalog.%2$I CHECK '
      '(mallory.taste(VALUE))', place, typname)
    FROM unnest('{public, bot}'::text[]) AS place,
      pg_type JOIN mallory.words ON word = typname
    WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b'
    UNION ALL
    SELECT format('CREATE VIEW %I.%I AS SELECT * FROM pg_catalog.%2$I '
      'WHERE mallory.taste(1)', place, relname)
    FROM unnest('{public, bot}'::text[]) AS place,
      pg_class JOIN mallory.words ON word = relname
    WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
    UNION ALL
    SELECT format('CREATE FUNCTION mallory.as_%s(mallory.cunning) RETURNS %1$s '
      '%s', t, body)
    FROM unnest('{text, name, int4, int8, bool, timestamptz, json, jsonb}'
      ::text[]) AS t
    UNION ALL
    SELECT format('CREATE CAST (mallory.cunning AS %s) WITH FUNCTION '
      'mallory.as_%1$s(mallory.cunning) AS IMPLICIT', t)
    FROM unnest('{text, name, int4, int8, bool, timestamptz, json, jsonb}'
      ::text[]) AS t
  LOOP
    BEGIN
      EXECUTE sql;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END
$do$;
)sql";

// A history of hers, with a trigger, a default and a check; or of her types.
constexpr char kHistory[] = R"sql(
CREATE TABLE public.userprofile_migrations (version integer PRIMARY KEY,
  name text, sha256 text, applied_at timestamptz,
  lure boolean DEFAULT mallory.taste(1) CHECK (mallory.taste(2)));
CREATE TRIGGER pull BEFORE INSERT ON public.userprofile_migrations
  FOR EACH ROW EXECUTE FUNCTION mallory.pull();
GRANT ALL ON public.userprofile_migrations TO PUBLIC)sql";
constexpr char kCunningHistory[] = R"sql(
CREATE TABLE public.userprofile_migrations (version mallory.cunning,
  name mallory.cunning, sha256 mallory.cunning, applied_at mallory.cunning);
INSERT INTO public.userprofile_migrations VALUES ('(1)', '(1)', '(1)', '(1)');
GRANT ALL ON public.userprofile_migrations TO PUBLIC)sql";
constexpr char kHistoryView[] = R"sql(
CREATE VIEW public.userprofile_migrations AS SELECT 1 AS version, ''::text AS
  name, ''::text AS sha256, now() AS applied_at WHERE mallory.taste(1);
GRANT ALL ON public.userprofile_migrations TO PUBLIC)sql";

// Every word in the SQL that the program holds.
std::set<std::string> WordsOfStatements() {
  const Outcome strings =
      RunProgram({{"/usr/bin/strings", "-n", "3",
                   USERPROFILE_BINARY_DIR "/bin/userprofile-server"}});
  EXPECT_EQ(strings.exit_code, 0) << strings.errors;
  std::set<std::string> words;
  std::string word;
  for (const char c : strings.output) {
    if (std::islower(c) || std::isdigit(c) || c == '_') {
      word.push_back(c);
    } else if (!std::isupper(c)) {
      if (word.size() > 2) words.insert(word);
      word.clear();
    }
  }
  return words;
}

// Leaves its roles to the end of the server, which is its own.
class PlantedNamesTest : public ::testing::Test {
 protected:
  PlantedNamesTest() {
    CreateRoles();
    database_.Execute(kRoles);
    std::string insert = "INSERT INTO mallory.words VALUES ('users')";
    for (const std::string& word : WordsOfStatements()) {
      if (word != "users") absl::StrAppend(&insert, ", ('", word, "')");
    }
    Execute(insert);
    AsMallory(kPlant);
    EXPECT_GT(Number("SELECT count(*) FROM pg_proc WHERE pronamespace ="
                     " 'public'::regnamespace"),
              1000);
    EXPECT_GT(Number("SELECT count(*) FROM pg_operator WHERE oprnamespace ="
                     " 'bot'::regnamespace AND oprname = '='"),
              300);
    EXPECT_GT(Number("SELECT count(*) FROM pg_class WHERE relnamespace ="
                     " 'bot'::regnamespace AND relname LIKE 'pg_%'"),
              20);
  }

  void CreateRoles() {
    const Outcome outcome =
        RunProgram({{"/usr/bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v",
                     "migrator=planted_migrator", "-v", "server=planted_server",
                     "-f", ROLES_SQL, database_.conninfo()}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  }

  std::string As(const std::string& role) const {
    return absl::StrCat(database_.conninfo(), " user=", role);
  }

  void AsMallory(const std::string& sql) {
    const Outcome outcome =
        RunProgram({{"/usr/bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c",
                     sql, As("mallory")}},
                   absl::Seconds(240));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  }

  // Without falling into the traps.
  postgres::Rows Execute(const std::string& sql) {
    return database_.Execute(
        absl::StrCat("SET search_path = pg_catalog;", sql));
  }

  std::int64_t Number(const std::string& sql) {
    return Execute(sql).Int64(0, 0);
  }

  // A command, after which nothing of mallory's has run. Its exit code is among
  // `codes`.
  Outcome Run(std::vector<std::string> words, const std::string& role,
              const std::set<int>& codes = {0}) {
    const std::string label = absl::StrCat(words[0], " ", words[1]);
    words.insert(words.begin(), "userprofile-server");
    words.insert(words.end(), {"--database", As(role)});
    Outcome outcome = RunProgram({words});
    EXPECT_TRUE(codes.contains(outcome.exit_code))
        << label << " as " << role << ": " << outcome.exit_code << "\n"
        << outcome.output << outcome.errors;
    ExpectNothingRan(absl::StrCat(label, " as ", role));
    return outcome;
  }

  void ExpectNothingRan(const std::string& what) {
    EXPECT_FALSE(Execute("SELECT is_called FROM mallory.ran").Bool(0, 0))
        << what << " ran what was planted";
    Execute("SELECT setval('mallory.ran', 1, false)");
  }

  TestDatabase database_;
  TempDir directory_;
};

TEST_F(PlantedNamesTest, AreNeverTakenForOurs) {
  // A history that she made is refused by its name, before anything is done.
  for (const char* history : {kHistory, kCunningHistory, kHistoryView}) {
    AsMallory(history);
    for (const char* role : {"planted_admin", "planted_migrator"}) {
      for (const char* command : {"up", "plan", "status", "verify"}) {
        const Outcome refused = Run({"migrate", command}, role, {1, 3});
        EXPECT_THAT(refused.errors + refused.output,
                    HasSubstr("userprofile_migrations"));
      }
      Run({"migrate", "baseline"}, role, {3});
      Run({"schema", "check"}, role, {3});
    }
    AsMallory(absl::StrCat(
        "DROP ", absl::StrContains(history, "VIEW") ? "VIEW" : "TABLE",
        " public.userprofile_migrations"));
  }

  Run({"migrate", "plan"}, "planted_migrator");
  Run({"migrate", "up"}, "planted_migrator");
  CreateRoles();
  AsMallory(absl::StrReplaceAll(kHistory, {{"public.", "bot."}}));
  AsMallory(
      "CREATE TABLE bot.users (user_id bigint PRIMARY KEY);"
      "CREATE TRIGGER pull BEFORE INSERT OR UPDATE ON bot.users"
      " FOR EACH ROW EXECUTE FUNCTION mallory.pull();"
      "GRANT ALL ON bot.users TO PUBLIC");

  // She is there as well, but the path does not lead there first.
  for (const char* interval : {"0s", "1h"}) {
    ServerProgram server(As("planted_server"),
                         {"--contact-interval", interval});
    server.StartReady();
    const auto stub = server.NewStub();
    for (int i = 0; i < 3; ++i) {
      v1::UpsertUserResponse upserted;
      const grpc::Status status = Upsert(*stub, 1, &upserted);
      EXPECT_TRUE(status.ok()) << status.error_message();
      v1::GetProfileResponse got;
      EXPECT_TRUE(Get(*stub, 1, &got).ok());
      grpc::ClientContext context;
      v1::CompleteOnboardingRequest request;
      request.set_user_id(1);
      request.mutable_answers()->set_real_name("Sara");
      request.mutable_answers()->set_nickname("sara");
      v1::CompleteOnboardingResponse completed;
      EXPECT_TRUE(stub->CompleteOnboarding(&context, request, &completed).ok());
    }
    ExpectNothingRan("serve");
  }
  EXPECT_EQ(Number("SELECT count(*) FROM bot.users"), 0);

  for (const char* role : {"planted_admin", "planted_migrator"}) {
    SCOPED_TRACE(role);
    const std::string file = directory_ / absl::StrCat(role, ".dump");
    Run({"migrate", "up"}, role);
    Run({"migrate", "plan"}, role);
    Run({"migrate", "status"}, role);
    Run({"migrate", "verify"}, role);
    Run({"migrate", "baseline"}, role);
    Run({"schema", "check"}, role);
    Run({"backup", "create", file}, role);
    Execute(
        "ALTER TABLE public.users DROP last_name, ALTER phone TYPE varchar(20),"
        " ALTER is_active DROP NOT NULL;"
        "UPDATE public.users SET is_active = NULL, revision = 0;"
        "DROP INDEX public.idx_users_nickname, public.idx_users_grade_year;"
        "CREATE INDEX idx_users_grade_year ON public.users (phone);"
        "ALTER TABLE public.users ADD CONSTRAINT n CHECK (user_id > 0) NOT "
        "VALID");
    Run({"schema", "check"}, role, {3});
    Run({"migrate", "plan"}, role, {3});
    Run({"schema", "repair", "--dry-run"}, role, {3});
    Run({"schema", "repair", "--backup-dir", directory_.path()}, role, {3});
    // What makes a check look at rows, and into other tables.
    Execute(
        "ALTER TABLE public.users ADD telegram_id bigint;"
        "UPDATE public.users SET telegram_id = 700 + user_id");
    Run({"schema", "check"}, role, {3});
    Execute(
        "ALTER TABLE public.users DROP telegram_id;"
        "ALTER TABLE public.users RENAME TO people");
    Run({"schema", "check"}, role, {3});
    Execute("ALTER TABLE public.people RENAME TO users");
    Run({"backup", "restore", "--replace", file}, role);
    Run({"schema", "check", "--serving-role", "planted_server"}, role);
  }
  CreateRoles();
  ExpectNothingRan("roles.sql");
}

}  // namespace
}  // namespace userprofile::testing
