// The service with the two roles of deploy/postgres/roles.sql.

#include <regex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/replicated_database.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class RolesTest : public ::testing::Test {
 protected:
  RolesTest() {
    CreateRoles();
    const Outcome migrated = Run({"migrate", "up"}, migrator_);
    EXPECT_EQ(migrated.exit_code, 0) << migrated.errors;
    CreateRoles();
  }

  ~RolesTest() override {
    database_.Execute(
        "DROP OWNED BY story_migrator, story_server CASCADE;"
        "DROP ROLE story_migrator, story_server");
  }

  std::string As(const std::string& role) const {
    return absl::StrCat(database_.conninfo(), " user=", role);
  }

  void CreateRoles() {
    const Outcome outcome =
        RunProgram({{"/usr/bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v",
                     "migrator=story_migrator", "-v", "server=story_server",
                     "-f", ROLES_SQL, database_.conninfo()}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  }

  // A command of the server program.
  Outcome Run(std::vector<std::string> words, const std::string& database) {
    words.insert(words.begin(), "userprofile-server");
    words.insert(words.end(), {"--database", database});
    return RunProgram({words});
  }

  // Makes a call of each kind: a contact, a read, an edit, a deletion.
  void ExpectServed(std::int64_t user) {
    const auto stub = server_.NewStub();
    v1::UpsertUserResponse upserted;
    grpc::Status status = Upsert(*stub, user, &upserted);
    EXPECT_TRUE(status.ok()) << status.error_message();
    v1::GetProfileResponse got;
    status = Get(*stub, user, &got);
    EXPECT_TRUE(status.ok()) << status.error_message();

    grpc::ClientContext context;
    v1::CompleteOnboardingRequest request;
    request.set_user_id(user);
    request.mutable_answers()->set_real_name("Sara");
    request.mutable_answers()->set_nickname(absl::StrCat("sara", user));
    v1::CompleteOnboardingResponse completed;
    status = stub->CompleteOnboarding(&context, request, &completed);
    EXPECT_TRUE(status.ok()) << status.error_message();

    const std::int64_t other = user + 1000;
    EXPECT_TRUE(Upsert(*stub, other, &upserted).ok());
    grpc::ClientContext deletes;
    v1::DeleteUserRequest whom;
    whom.set_user_id(other);
    v1::DeleteUserResponse deleted;
    status = stub->DeleteUser(&deletes, whom, &deleted);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }

  TestDatabase database_;
  TempDir directory_;
  const std::string migrator_ = As("story_migrator");
  const std::string serving_ = As("story_server");
  ServerProgram server_{serving_};
};

TEST_F(RolesTest, TheServingRoleServesAndCanDoNoMore) {
  const Outcome check = Run({"schema", "check"}, serving_);
  EXPECT_EQ(check.exit_code, 0) << check.output << check.errors;
  EXPECT_EQ(Run({"migrate", "status"}, serving_).exit_code, 0);
  EXPECT_EQ(
      Run({"schema", "check", "--serving-role", "story_server"}, migrator_)
          .exit_code,
      0);
  server_.StartReady();
  ExpectServed(1);

  for (const char* sql :
       {"DROP TABLE users", "ALTER TABLE users ADD x integer", "TRUNCATE users",
        "DROP INDEX idx_users_nickname", "CREATE INDEX ON users (phone)",
        "DELETE FROM userprofile_migrations",
        "UPDATE userprofile_migrations SET name = ''",
        "DROP TABLE userprofile_migrations", "SET ROLE story_migrator"}) {
    const Outcome outcome =
        RunProgram({{"/usr/bin/psql", "-X", "-c", sql, serving_}});
    EXPECT_EQ(outcome.exit_code, 1) << sql;
    EXPECT_THAT(outcome.errors, AnyOf(HasSubstr("permission denied"),
                                      HasSubstr("must be owner")))
        << sql;
  }
}

// Of a function whose text does not show what it looks for.
TEST_F(RolesTest, AWriteThatWouldFailIsToldBeforeItDoes) {
  const Outcome made = RunProgram(
      {{"/usr/bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c",
        "CREATE TABLE users_log (user_id bigint);"
        "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " EXECUTE format('INSERT INTO %I VALUES ($1)',"
        "  TG_TABLE_NAME || '_log') USING NEW.user_id; RETURN NULL; END $$;"
        "CREATE TRIGGER log AFTER INSERT ON users FOR EACH ROW"
        " EXECUTE FUNCTION log()",
        migrator_}});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  constexpr char kTold[] = "a write that was tried fails";
  for (const std::string& role : {serving_, migrator_}) {
    const Outcome check = Run({"schema", "check"}, role);
    EXPECT_EQ(check.exit_code, 3);
    EXPECT_THAT(check.output, HasSubstr(kTold));
  }
  const Outcome up = Run({"migrate", "up"}, migrator_);
  EXPECT_EQ(up.exit_code, 0);
  EXPECT_THAT(up.errors, HasSubstr(kTold));
  server_.StartReady();
  const base::SteadyTime deadline = base::SteadyTime::Now() + absl::Seconds(20);
  while (!absl::StrContains(server_.program().errors(), kTold)) {
    ASSERT_LT(base::SteadyTime::Now(), deadline) << server_.program().errors();
    absl::SleepFor(absl::Milliseconds(10));
  }
}

TEST_F(RolesTest, TheMigratorRepairsUnderAServingService) {
  server_.StartReady();
  ExpectServed(1);
  database_.Execute("ALTER TABLE users DROP COLUMN last_name");
  server_.AwaitNotReady("users.last_name is missing");

  Outcome refused = Run({"schema", "repair", "--no-backup"}, serving_);
  EXPECT_EQ(refused.exit_code, 3) << refused.errors;
  EXPECT_THAT(refused.output, HasSubstr("as the role that owns users"));

  // Nothing without a word about the backup.
  EXPECT_EQ(Run({"schema", "repair"}, migrator_).exit_code, 2);
  EXPECT_EQ(Run({"schema", "repair", "--dry-run"}, migrator_).exit_code, 3);
  EXPECT_EQ(Run({"schema", "check"}, migrator_).exit_code, 3);

  const Outcome repaired = Run({"schema", "repair", "--backup-dir",
                                directory_.path(), "--output", "json"},
                               migrator_);
  EXPECT_EQ(repaired.exit_code, 0) << repaired.output << repaired.errors;
  const auto json = nlohmann::json::parse(repaired.output);
  EXPECT_EQ(json["ready"], true);
  EXPECT_EQ(json["steps"][0]["state"], "done");
  EXPECT_THAT(repaired.errors, HasSubstr(directory_ / "users-"));
  server_.AwaitReady();
  ExpectServed(2);
  EXPECT_EQ(Run({"schema", "repair"}, migrator_).exit_code, 0);
}

// Not every role that may insert into users, for who deletes changes keeps all
// who watch from what they are to be told.
TEST_F(RolesTest, ATableBesideThatIsMadeIsForWhoeverServes) {
  database_.Execute(
      "DROP TABLE userprofile_changes, userprofile_sessions;"
      "DROP ROLE IF EXISTS story_bot;"
      "CREATE ROLE story_bot LOGIN; GRANT INSERT ON users TO story_bot, PUBLIC;"
      "GRANT SELECT ON userprofile_migrations TO PUBLIC");
  const Outcome repaired = Run({"schema", "repair", "--no-backup"}, migrator_);
  EXPECT_EQ(repaired.exit_code, 0) << repaired.output << repaired.errors;
  const auto granted = [&](const std::string& table) {
    return std::string(
        database_
            .Execute(absl::StrCat(
                "SELECT string_agg(format('%s %s', grantee, privilege_type), "
                "', ' ORDER BY privilege_type) FROM "
                "information_schema.table_privileges WHERE table_name = '",
                table, "' AND grantee <> 'story_migrator'"))
            .Text(0, 0));
  };
  EXPECT_EQ(granted("userprofile_changes"),
            "story_server DELETE, story_server INSERT, story_server SELECT");
  EXPECT_EQ(granted("userprofile_sessions"),
            "story_server DELETE, story_server INSERT, story_server SELECT, "
            "story_server UPDATE");
  server_.StartReady();
  ExpectServed(1);
  const Outcome written =
      RunProgram({{"/usr/bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c",
                   "INSERT INTO users (user_id) VALUES (5)", As("story_bot")}});
  EXPECT_EQ(written.exit_code, 0) << written.errors;
  database_.Execute("DROP OWNED BY story_bot; DROP ROLE story_bot");
}

TEST_F(RolesTest, ABackupIsRestoredUnderAServingService) {
  server_.StartReady();
  ExpectServed(1);
  const std::string file = directory_ / "users.dump";
  const Outcome created = Run({"backup", "create", file}, serving_);
  EXPECT_EQ(created.exit_code, 0) << created.errors;

  ExpectServed(2);
  EXPECT_EQ(Run({"backup", "restore", file}, migrator_).exit_code, 1);
  const Outcome restored =
      Run({"backup", "restore", "--replace", file}, migrator_);
  EXPECT_EQ(restored.exit_code, 0) << restored.output << restored.errors;
  EXPECT_EQ(Run({"schema", "check"}, serving_).exit_code, 0);

  server_.AwaitReady();
  const auto stub = server_.NewStub();
  v1::UpsertUserResponse upserted;
  ASSERT_TRUE(Upsert(*stub, 1, &upserted).ok());
  EXPECT_FALSE(upserted.created());
  EXPECT_TRUE(upserted.profile().onboarding_completed());
  ASSERT_TRUE(Upsert(*stub, 2, &upserted).ok());
  EXPECT_TRUE(upserted.created());
}

// A table users that somebody made before anybody migrated, who would own it
// after all, or what hangs on it would run with the migrator's rights.
TEST(PlantedTableTest, IsGivenToTheMigratorOnlyIfItsOwnerIsNamed) {
  const TestDatabase database;
  database.Execute(
      "CREATE ROLE \"planting bot's\" LOGIN;"
      "GRANT CREATE ON SCHEMA public TO \"planting bot's\";"
      "SET ROLE \"planting bot's\";"
      "CREATE TABLE public.users (user_id bigint PRIMARY KEY)");
  // With words as a shell takes them.
  const auto create_roles = [&](const std::string& words) {
    return RunProgram(
        {{"/bin/sh", "-c",
          absl::StrCat("exec /usr/bin/psql -X -q -v ON_ERROR_STOP=1 -v "
                       "migrator=planting_migrator -v server=planting_server ",
                       words, R"( -f "$1" "$2")"),
          "sh", ROLES_SQL, database.conninfo()}});
  };
  const auto owner = [&] {
    return std::string(database
                           .Execute("SELECT relowner::regrole FROM pg_class"
                                    " WHERE oid = 'public.users'::regclass")
                           .Text(0, 0));
  };
  Outcome refused = create_roles("");
  EXPECT_EQ(refused.exit_code, 3);
  std::smatch words;
  ASSERT_TRUE(std::regex_search(refused.errors, words,
                                std::regex("run this again with (-v [^;]*);")))
      << refused.errors;
  const std::string advice = words[1];
  EXPECT_EQ(owner(), "\"planting bot's\"");
  refused = RunProgram(
      {{"userprofile-server", "migrate", "up", "--database",
        absl::StrCat(database.conninfo(), " user=planting_migrator")}});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("it belongs to \"planting bot's\""));

  const Outcome named = create_roles(advice);
  EXPECT_EQ(named.exit_code, 0) << named.errors;
  EXPECT_EQ(owner(), "planting_migrator");
  // The bot writes on by itself.
  database.Execute(
      "SET ROLE \"planting bot's\"; INSERT INTO public.users (user_id) VALUES "
      "(1);"
      "UPDATE public.users SET user_id = 2; DELETE FROM public.users");
  database.Execute(
      "DROP OWNED BY \"planting bot's\", planting_migrator, planting_server"
      " CASCADE;"
      "DROP ROLE \"planting bot's\", planting_migrator, planting_server");
}

// What a serving role is granted beside its tables, and that it is enough.
TEST(ServingRoleTest, SeesWhatAStandbyReceivesAndNoSettings) {
  const ReplicatedDatabase database;
  // As an earlier roles.sql left it.
  ReplicatedDatabase::Execute(
      database.primary(),
      "CREATE ROLE seeing_server LOGIN; GRANT pg_monitor TO seeing_server");
  const Outcome outcome =
      RunProgram({{"/usr/bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v",
                   "migrator=seeing_migrator", "-v", "server=seeing_server",
                   "-f", ROLES_SQL, database.primary()}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;

  const std::string granted =
      "SELECT string_agg(roleid::regrole::text, ' ') FROM pg_auth_members"
      " WHERE member = 'seeing_server'::regrole";
  EXPECT_EQ(ReplicatedDatabase::Execute(database.primary(), granted),
            "pg_read_all_stats");
  const base::SteadyTime deadline = base::SteadyTime::Now() + absl::Seconds(20);
  while (ReplicatedDatabase::Execute(
             database.standby(),
             "SELECT pg_has_role(oid, 'pg_read_all_stats', 'MEMBER')"
             " FROM pg_roles WHERE rolname = 'seeing_server'") != "t") {
    ASSERT_LT(base::SteadyTime::Now(), deadline) << "the standby lags";
    absl::SleepFor(absl::Milliseconds(10));
  }
  const auto as = [&](const char* role) {
    return absl::StrCat(database.standby(), " user=", role);
  };
  const std::string timeline =
      "SELECT received_tli FROM pg_catalog.pg_stat_get_wal_receiver()";
  EXPECT_EQ(ReplicatedDatabase::Execute(as("seeing_server"), timeline), "1");
  EXPECT_EQ(ReplicatedDatabase::Execute(as("seeing_migrator"), timeline), "");
  const Outcome refused =
      RunProgram({{"/usr/bin/psql", "-X", "-c", "SHOW data_directory",
                   as("seeing_server")}});
  EXPECT_EQ(refused.exit_code, 1) << refused.output;
}

TEST(BackupProgramTest, WorksOnAnEmbeddedDatabase) {
  const TempDir directory;
  const std::string embedded =
      absl::StrCat("embedded:", directory / "database");
  const std::string file = directory / "users.dump";
  {
    ServerProgram server(embedded);
    server.StartReady();
    v1::UpsertUserResponse upserted;
    ASSERT_TRUE(Upsert(*server.NewStub(), 1, &upserted).ok());
    const Outcome created =
        RunProgram({{"userprofile-server", "backup", "create", file,
                     "--database", embedded}});
    EXPECT_EQ(created.exit_code, 0) << created.errors;
  }
  const std::string other = absl::StrCat("embedded:", directory / "other");
  const Outcome restored =
      RunProgram({{"userprofile-server", "backup", "restore", file,
                   "--database", other, "--output", "json"}});
  EXPECT_EQ(restored.exit_code, 0) << restored.output << restored.errors;
  ServerProgram server(other);
  server.StartReady();
  v1::UpsertUserResponse upserted;
  ASSERT_TRUE(Upsert(*server.NewStub(), 1, &upserted).ok());
  EXPECT_FALSE(upserted.created());
}

}  // namespace
}  // namespace userprofile::testing
