#include "server/schema/backup.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "server/postgres/binaries.h"
#include "server/postgres/process.h"
#include "server/schema/archive.h"
#include "server/schema/damages_testing.h"
#include "server/schema/inspector.h"
#include "server/schema/migrator.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::userprofile::testing::TempDir;
using ::userprofile::testing::TestDatabase;

// The migrated table with the two users.
void CreateMigratedTable(const TestDatabase& database) {
  CreateUnmigratedTable(database);
  ASSERT_TRUE(Migrate(database.session_factory()).ok());
}

absl::Status Create(const TestDatabase& database, const std::string& file) {
  return CreateBackup(database.session_factory(), database.conninfo(), file);
}

absl::StatusOr<RestoreResult> Restore(const TestDatabase& database,
                                      const std::string& file,
                                      bool replace = false) {
  RestoreOptions options;
  options.replace = replace;
  return RestoreBackup(database.session_factory(), database.conninfo(), file,
                       options);
}

std::vector<std::string> FilesIn(const TempDir& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory.path())) {
    names.push_back(entry.path().filename());
  }
  return names;
}

class BackupTest : public ::testing::Test {
 protected:
  TempDir directory_;
  const std::string file_ = directory_ / "users.dump";
  TestDatabase database_;
  TestDatabase other_;
};

TEST_F(BackupTest, RestoresEveryRowColumnAndIndexToAnEmptyDatabase) {
  CreateMigratedTable(database_);
  ASSERT_TRUE(Create(database_, file_).ok());
  EXPECT_THAT(FilesIn(directory_), ElementsAre("users.dump"));
  struct stat info;
  ASSERT_EQ(stat(file_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);

  const auto result = Restore(other_, file_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->report.breaches, IsEmpty());
  EXPECT_FALSE(result->report.migrations_pending);
  EXPECT_THAT(result->left_out, IsEmpty());
  EXPECT_EQ(Dump(other_, "*"), Dump(database_, "*"));
}

TEST_F(BackupTest, RestoresOverAnEmptyTableButNotOverUsers) {
  CreateMigratedTable(database_);
  ASSERT_TRUE(Create(database_, file_).ok());
  ASSERT_TRUE(Migrate(other_.session_factory()).ok());
  ASSERT_TRUE(Restore(other_, file_).ok());

  other_.Execute("UPDATE users SET first_name = 'newer'");
  const std::string before = Dump(other_, "*");
  const auto refused = Restore(other_, file_);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--replace"));
  EXPECT_EQ(Dump(other_, "*"), before);

  const auto replaced = Restore(other_, file_, true);
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_THAT(replaced->report.breaches, IsEmpty());
  EXPECT_EQ(Dump(other_, "*"), Dump(database_, "*"));
  other_.Execute(absl::StrCat("SET search_path = ", replaced->moved_to,
                              "; CREATE VIEW public.old AS SELECT * FROM "
                              "users"));
  EXPECT_EQ(other_
                .Execute("SELECT count(*) FROM old WHERE first_name = "
                         "'newer'")
                .Int64(0, 0),
            2);
}

TEST_F(BackupTest, BringsBackATableThatWasDropped) {
  CreateMigratedTable(database_);
  ASSERT_TRUE(Create(database_, file_).ok());
  const std::string before = Dump(database_, "*");
  database_.Execute("DROP TABLE users");
  const auto result = Restore(database_, file_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->report.breaches, IsEmpty());
  EXPECT_FALSE(result->report.migrations_pending);
  EXPECT_EQ(Dump(database_, "*"), before);
}

// They are of dialogues that go on, whatever users are restored.
TEST_F(BackupTest, LeavesTheSessionsOfBotsAsTheyAre) {
  CreateMigratedTable(database_);
  const auto sessions = [](const TestDatabase& database) {
    return database.Execute("SELECT count(*) FROM userprofile_sessions")
        .Int64(0, 0);
  };
  database_.Execute(
      "INSERT INTO userprofile_sessions (bot, key, value, revision, updated_at)"
      " VALUES ('shop', 'chat:1', '', 1, now())");
  ASSERT_TRUE(Create(database_, file_).ok());
  auto result = Restore(database_, file_, true);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->report.breaches, IsEmpty());
  EXPECT_EQ(sessions(database_), 1);

  result = Restore(other_, file_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->report.breaches, IsEmpty());
  EXPECT_EQ(sessions(other_), 0);
}

TEST_F(BackupTest, KeepsOwnersAndRightsOfWhatItReplaces) {
  CreateMigratedTable(database_);
  ASSERT_TRUE(Create(database_, file_).ok());
  database_.Execute(
      "CREATE ROLE backup_owner; CREATE ROLE backup_reader;"
      "GRANT CREATE ON SCHEMA public TO backup_owner;"
      "ALTER TABLE users OWNER TO backup_owner;"
      "GRANT SELECT ON users, userprofile_migrations TO backup_reader");
  const auto result = Restore(database_, file_, true);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(database_
                  .Execute("SELECT relowner = 'backup_owner'::regrole"
                           " AND has_table_privilege('backup_reader',"
                           "  'users', 'SELECT')"
                           " AND has_table_privilege('backup_reader',"
                           "  'userprofile_migrations', 'SELECT')"
                           " AND NOT has_table_privilege('backup_reader',"
                           "  'users', 'UPDATE')"
                           " FROM pg_class WHERE oid = 'users'::regclass")
                  .Bool(0, 0));
  database_.Execute(
      "DROP OWNED BY backup_owner, backup_reader CASCADE;"
      "DROP ROLE backup_owner, backup_reader");
}

// In both ways, and not only those on the table as a whole.
TEST_F(BackupTest, KeepsEveryKindOfRightOfWhatItReplaces) {
  const auto rights = [&] {
    return std::string(
        database_
            .Execute(
                "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ("
                "SELECT concat_ws(' ', relname, relowner::regrole,"
                "  relrowsecurity, relforcerowsecurity, a.grantee,"
                "  a.privilege_type, a.is_grantable) AS line FROM pg_class,"
                "  aclexplode(coalesce(relacl, acldefault("
                "   CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END,"
                "   relowner))) AS a WHERE relnamespace ="
                "   'public'::regnamespace AND relkind IN ('r', 'S')"
                " UNION ALL SELECT concat_ws(' ', attname, a.grantee,"
                "  a.privilege_type, a.is_grantable) FROM pg_attribute,"
                "  aclexplode(attacl) AS a WHERE attrelid = 'users'::regclass"
                "  AND attname <> 'later'"
                " UNION ALL SELECT concat_ws(' ', policyname, permissive,"
                "  roles, cmd, qual, with_check) FROM pg_policies"
                "  WHERE schemaname = 'public') AS lines")
            .Text(0, 0));
  };
  CreateMigratedTable(database_);
  database_.Execute("ALTER TABLE users ADD row_number serial");
  ASSERT_TRUE(Create(database_, file_).ok());
  database_.Execute(
      "CREATE ROLE backup_owner; CREATE ROLE \"backup reader\";"
      "GRANT CREATE ON SCHEMA public TO backup_owner;"
      "ALTER TABLE users OWNER TO backup_owner;"
      "REVOKE DELETE ON users FROM backup_owner;"
      "GRANT SELECT ON users TO \"backup reader\" WITH GRANT OPTION;"
      "GRANT UPDATE (phone), REFERENCES (user_id) ON users"
      " TO \"backup reader\" WITH GRANT OPTION;"
      "GRANT SELECT (user_id) ON users TO PUBLIC;"
      "GRANT USAGE ON SEQUENCE users_row_number_seq TO \"backup reader\";"
      "ALTER TABLE users ENABLE ROW LEVEL SECURITY;"
      "CREATE POLICY own ON users FOR SELECT TO \"backup reader\""
      " USING (user_id IN (SELECT u.user_id FROM users AS u));"
      "CREATE POLICY strict ON users AS RESTRICTIVE USING (true)"
      " WITH CHECK (is_active);"
      // Later than the backup, which has no such column.
      "ALTER TABLE users ADD later text;"
      "GRANT SELECT (later) ON users TO \"backup reader\";"
      "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC");
  const std::string before = rights();
  EXPECT_THAT(before, HasSubstr("phone"));
  const auto replaced = Restore(database_, file_, true);
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ(rights(), before);

  // Twice in a second, and over an empty table.
  const auto again = Restore(database_, file_, true);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(again->moved_to, replaced->moved_to);
  database_.Execute("DELETE FROM users");
  const auto emptied = Restore(database_, file_);
  ASSERT_TRUE(emptied.ok()) << emptied.status();
  EXPECT_EQ(rights(), before);
  database_.Execute(
      "DROP OWNED BY backup_owner, \"backup reader\" CASCADE;"
      "DROP ROLE backup_owner, \"backup reader\"");
}

TEST_F(BackupTest, NamesWhatTheRestoredTableLacksOfTheReplacedOne) {
  CreateMigratedTable(database_);
  ASSERT_TRUE(Create(database_, file_).ok());
  CreateMigratedTable(database_);
  database_.Execute(
      "CREATE VIEW names AS SELECT first_name FROM users;"
      "CREATE TABLE orders (user_id bigint REFERENCES users);"
      "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN RETURN NEW; END $$;"
      "CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW"
      " EXECUTE FUNCTION f();"
      "CREATE PUBLICATION p FOR TABLE users");
  const auto result = Restore(database_, file_, true);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(
      result->left_out,
      ElementsAre("constraint orders_user_id_fkey on table public.orders",
                  "publication of table public.users in publication p",
                  "rule _RETURN on view public.names",
                  "trigger t on table public.users"));
}

TEST_F(BackupTest, TakesNoNameThatIsTaken) {
  CreateMigratedTable(database_);
  const absl::Time time = absl::FromUnixSeconds(1'767'323'045);
  std::vector<std::string> files;
  for (int i = 0; i < 3; ++i) {
    const auto file =
        CreateBackupIn(database_.session_factory(), database_.conninfo(),
                       directory_.path(), time);
    ASSERT_TRUE(file.ok()) << file.status();
    files.push_back(*file);
  }
  EXPECT_THAT(files, ElementsAre(directory_ / "users-20260102T030405Z.dump",
                                 directory_ / "users-20260102T030405Z-2.dump",
                                 directory_ / "users-20260102T030405Z-3.dump"));
  EXPECT_THAT(FilesIn(directory_), SizeIs(3));
}

// Neither waits for it, nor reads or replaces it.
TEST_F(BackupTest, RefusesWhatIsNoRegularFile) {
  CreateMigratedTable(database_);
  ASSERT_EQ(mkfifo(file_.c_str(), 0600), 0);
  const std::string dangling = directory_ / "dangling";
  fs::create_symlink("nowhere", dangling);
  for (const std::string& file :
       {file_, directory_.path(), std::string("/dev/zero"), dangling}) {
    SCOPED_TRACE(file);
    EXPECT_TRUE(
        absl::IsFailedPrecondition(Restore(database_, file, true).status()));
    EXPECT_TRUE(absl::IsAlreadyExists(Create(database_, file)));
  }
  EXPECT_THAT(FilesIn(directory_), SizeIs(2));
}

// pg_dump leaves it out, and says that all is well.
TEST_F(BackupTest, RefusesATableThatBelongsToAnExtension) {
  CreateMigratedTable(database_);
  const std::string schema_only = directory_ / "schema.dump";
  postgres::Command dump;
  dump.words = {
      absl::StrCat(
          postgres::FindClientPrograms(postgres::kOldestMajorVersion)->folder,
          "/pg_dump"),
      "--format=custom",
      "--schema-only",
      "--table=users",
      "--file=" + schema_only,
      "--dbname=" + database_.conninfo()};
  ASSERT_EQ(postgres::RunToEnd(dump)->exit_code, 0);
  EXPECT_THAT(std::string(Restore(other_, schema_only).status().message()),
              HasSubstr("does not hold the rows of users"));

  database_.Execute("ALTER EXTENSION plpgsql ADD TABLE users");
  EXPECT_THAT(std::string(Create(database_, file_).message()),
              HasSubstr("belongs to an extension"));
  EXPECT_THAT(FilesIn(directory_), ElementsAre("schema.dump"));
  database_.Execute("ALTER EXTENSION plpgsql DROP TABLE users");
  EXPECT_TRUE(Create(database_, file_).ok());
}

TEST_F(BackupTest, LeavesOutWhatItDoesNotHold) {
  CreateLegacyTable(database_);
  ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  ASSERT_TRUE(Create(database_, file_).ok());
  const auto result = Restore(other_, file_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->left_out, ElementsAre("TRIGGER public users log_users"));
  EXPECT_EQ(Dump(other_, "*"), Dump(database_, "*"));
}

TEST_F(BackupTest, LeavesOutCommentsOnWhatItLeavesOut) {
  CreateLegacyTable(database_);
  ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  database_.Execute(
      "COMMENT ON TRIGGER log_users ON users IS 'a';"
      "COMMENT ON TABLE users IS 'b'; COMMENT ON COLUMN users.phone IS 'c';"
      "COMMENT ON INDEX idx_users_nickname IS 'd'");
  ASSERT_TRUE(Create(database_, file_).ok());
  const auto result = Restore(other_, file_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->left_out,
              ElementsAre("TRIGGER public users log_users",
                          "COMMENT public TRIGGER log_users ON users"));
  EXPECT_EQ(other_
                .Execute("SELECT count(*) FROM pg_description WHERE objoid IN"
                         " ('users'::regclass, 'idx_users_nickname'::regclass)")
                .Int64(0, 0),
            3);
}

TEST_F(BackupTest, TakesASchemaWhoseNameLooksLikeTheTables) {
  for (const std::string schema :
       {"users users", "users", "my userprofile_migrations", "o'x \"users"}) {
    SCOPED_TRACE(schema);
    const std::string file = absl::StrCat(file_, schema.size());
    const auto sql = [&](const std::string& text) {
      database_.Execute(absl::StrCat("DO $do$ BEGIN EXECUTE format($f$", text,
                                     "$f$, $n$", schema,
                                     "$n$, current_database()); END $do$"));
    };
    sql("CREATE SCHEMA %1$I; CREATE TABLE %1$I.users (user_id bigint PRIMARY"
        " KEY); INSERT INTO %1$I.users VALUES (1);"
        "COMMENT ON COLUMN %1$I.users.user_id IS 'a';"
        "ALTER DATABASE %2$I SET search_path = %1$I");
    const absl::Status created = Create(database_, file);
    ASSERT_TRUE(created.ok()) << created;
    sql("TRUNCATE %1$I.users");
    const auto result = Restore(database_, file);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(Dump(database_, "*"), "(1)");
    EXPECT_THAT(result->left_out, IsEmpty());
    sql("DROP SCHEMA %1$I CASCADE");
  }
}

TEST_F(BackupTest, TakesNamesWithSpaces) {
  database_.Execute(
      "CREATE SCHEMA \"my bot\"; CREATE ROLE \"backup owner\";"
      "CREATE TABLE \"my bot\".users (user_id bigint PRIMARY KEY);"
      "INSERT INTO \"my bot\".users VALUES (1);"
      "ALTER TABLE \"my bot\".users OWNER TO \"backup owner\"");
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = %I',"
      " current_database(), 'my bot'); EXECUTE format('GRANT CREATE ON DATABASE"
      " %I TO %I', current_database(), 'backup owner'); END $$");
  ASSERT_TRUE(Create(database_, file_).ok());
  database_.Execute("TRUNCATE \"my bot\".users");
  const auto result = Restore(database_, file_);
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Dump(database_, "*"), "(1)");
  EXPECT_EQ(database_
                .Execute("SELECT relowner::regrole::text FROM pg_class"
                         " WHERE oid = 'users'::regclass")
                .Text(0, 0),
            "\"backup owner\"");
  database_.Execute(
      "DROP SCHEMA \"my bot\" CASCADE; DROP OWNED BY \"backup owner\";"
      "DROP ROLE \"backup owner\"");
}

TEST_F(BackupTest, RefusesATableWhoseRowsWouldNotBeInIt) {
  for (const char* sql :
       {"CREATE TABLE u (user_id bigint); CREATE VIEW users AS TABLE u",
        "CREATE TABLE users (user_id bigint) PARTITION BY RANGE (user_id);"
        "CREATE TABLE u PARTITION OF users DEFAULT",
        "CREATE TABLE users (user_id bigint);"
        "CREATE TABLE u () INHERITS (users)"}) {
    database_.Execute(
        absl::StrCat("DROP SCHEMA public CASCADE; CREATE SCHEMA public;", sql));
    EXPECT_THAT(std::string(Create(database_, file_).message()),
                HasSubstr("would hold none of their rows"))
        << sql;
    EXPECT_THAT(FilesIn(directory_), IsEmpty());
  }
}

// In a container, each run has the number of the one that was killed.
TEST_F(BackupTest, IsNotStoppedByWhatAKilledOneLeft) {
  CreateMigratedTable(database_);
  std::ofstream(absl::StrCat(file_, ".part-", getpid())) << "cut off";
  EXPECT_TRUE(Create(database_, file_).ok());
}

TEST_F(BackupTest, OverwritesNothing) {
  CreateMigratedTable(database_);
  std::ofstream(file_) << "mine";
  const absl::Status status = Create(database_, file_);
  EXPECT_THAT(std::string(status.message()), HasSubstr("File exists"));
  std::string content;
  std::ifstream(file_) >> content;
  EXPECT_EQ(content, "mine");
  EXPECT_THAT(FilesIn(directory_), SizeIs(1));
}

TEST_F(BackupTest, LeavesNothingBehindWhenItFails) {
  EXPECT_THAT(std::string(Create(database_, file_).message()),
              HasSubstr("no table users"));
  EXPECT_THAT(std::string(Create(database_, "/nowhere/users.dump").message()),
              HasSubstr("No such file or directory"));

  // pg_dump may not read what users is made of.
  CreateMigratedTable(database_);
  database_.Execute("CREATE ROLE backup_stranger LOGIN");
  const absl::Status status = CreateBackup(
      database_.session_factory(),
      absl::StrCat(database_.conninfo(), " user=backup_stranger"), file_);
  EXPECT_THAT(std::string(status.message()), HasSubstr("permission denied"));
  EXPECT_THAT(FilesIn(directory_), IsEmpty());
  database_.Execute("DROP ROLE backup_stranger");
}

TEST_F(BackupTest, SaysThatTheDiskIsFull) {
  CreateMigratedTable(database_);
  // Incompressible, so that it does not fit.
  database_.Execute(
      "UPDATE users SET phone = (SELECT string_agg(md5(random()::text), '')"
      " FROM generate_series(1, 20000))");
  const TempDir small;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit limit = {100'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const absl::Status status = Create(database_, small / "users.dump");
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(FilesIn(small), IsEmpty());
}

TEST_F(BackupTest, RestoresNothingOfAFileThatIsCutOff) {
  CreateMigratedTable(database_);
  database_.Execute(
      "INSERT INTO users (user_id, first_name)"
      " SELECT i, md5(i::text) FROM generate_series(10, 20000) AS i");
  ASSERT_TRUE(Create(database_, file_).ok());
  ASSERT_TRUE(Migrate(other_.session_factory()).ok());
  const std::uintmax_t size = fs::file_size(file_);
  for (const double part : {0.9, 0.5, 0.01, 0.0}) {
    fs::resize_file(file_, static_cast<std::uintmax_t>(part * size));
    const auto result = Restore(other_, file_, true);
    EXPECT_TRUE(absl::IsFailedPrecondition(result.status()))
        << part << " " << result.status();
    EXPECT_EQ(other_
                  .Execute("SELECT (SELECT count(*) FROM users) ||"
                           " (SELECT count(*) FROM pg_namespace"
                           "  WHERE nspname LIKE 'userprofile%')::text")
                  .Text(0, 0),
              "00");
  }
}

// What it has written so far is SQL that could be committed.
TEST_F(BackupTest, RestoresNothingWhenPgRestoreIsKilled) {
  CreateMigratedTable(database_);
  ASSERT_TRUE(Create(database_, file_).ok());
  const std::string programs =
      postgres::FindClientPrograms(postgres::kOldestMajorVersion)->folder;
  for (const char* program : {"pg_dump", "psql"}) {
    fs::create_symlink(absl::StrCat(programs, "/", program),
                       directory_ / program);
  }
  const std::string pg_restore = absl::StrCat(programs, "/pg_restore \"$@\"");
  std::ofstream(directory_ / "pg_restore")
      << "#!/bin/sh\ncase \"$*\" in *--list*|*--schema-only*) exec "
      << pg_restore << ";; esac\n"
      << pg_restore << " | sed '/^CREATE UNIQUE INDEX/,$d'\nkill -KILL $$\n";
  fs::permissions(directory_ / "pg_restore", fs::perms::owner_all);
  setenv("USERPROFILE_POSTGRES_BIN", directory_.path().c_str(), 1);
  const auto result = Restore(other_, file_);
  unsetenv("USERPROFILE_POSTGRES_BIN");

  EXPECT_TRUE(absl::IsFailedPrecondition(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("can't be read to its end"));
  EXPECT_TRUE(other_.Execute("SELECT to_regclass('users') IS NULL").Bool(0, 0));
}

TEST_F(BackupTest, SeesAUserWhoComesAtTheLastMoment) {
  CreateMigratedTable(database_);
  ASSERT_TRUE(Create(database_, file_).ok());
  ASSERT_TRUE(Migrate(other_.session_factory()).ok());
  const auto bot = other_.Connect();
  ASSERT_TRUE(
      bot->ExecuteScript("BEGIN; INSERT INTO users (user_id) VALUES (7)").ok());

  absl::Status status;
  std::thread restore([&] { status = Restore(other_, file_).status(); });
  const base::SteadyTime deadline = base::SteadyTime::Now() + absl::Seconds(20);
  while (
      !other_
           .Execute("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE "
                    "query LIKE '%LOCK TABLE%' AND wait_event_type = 'Lock')")
           .Bool(0, 0) &&
      base::SteadyTime::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_TRUE(bot->ExecuteScript("COMMIT").ok());
  restore.join();
  EXPECT_THAT(std::string(status.message()), HasSubstr("holds users by now"));
  EXPECT_EQ(Dump(other_, "user_id"), "(7)");
}

TEST_F(BackupTest, RefusesWhatIsNoBackupOfTheService) {
  std::ofstream(file_) << "SELECT 1;";
  EXPECT_THAT(std::string(Restore(database_, file_).status().message()),
              HasSubstr("is no backup that can be read"));
  database_.Execute("CREATE TABLE orders (user_id bigint)");
  postgres::Command dump;
  dump.words = {
      absl::StrCat(
          postgres::FindClientPrograms(postgres::kOldestMajorVersion)->folder,
          "/pg_dump"),
      "--format=custom", "--file=" + (directory_ / "orders.dump"),
      "--dbname=" + database_.conninfo()};
  ASSERT_EQ(postgres::RunToEnd(dump)->exit_code, 0);
  EXPECT_THAT(
      std::string(
          Restore(database_, directory_ / "orders.dump").status().message()),
      HasSubstr("is no backup of this service: it holds other tables"));
  EXPECT_THAT(
      std::string(Restore(database_, directory_ / "none").status().message()),
      HasSubstr("No such file"));
}

TEST_F(BackupTest, ChangesNothingWhenPostgresqlRefusesIt) {
  database_.Execute(
      "CREATE TYPE mood AS ENUM ('good'); CREATE SCHEMA bot;"
      "CREATE TABLE users (user_id bigint PRIMARY KEY, mood mood)");
  ASSERT_TRUE(Create(database_, file_).ok());
  CreateMigratedTable(other_);
  const std::string before = Dump(other_, "*");
  const auto result = Restore(other_, file_, true);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("42704: type \"public.mood\" does not exist"));
  EXPECT_EQ(Dump(other_, "*"), before);

  // A backup of another schema than the one that is served from.
  database_.Execute(
      "DROP TABLE users; CREATE TABLE bot.users (user_id bigint)");
  postgres::ConnectOptions bot;
  bot.conninfo =
      absl::StrCat(database_.conninfo(), " options=-csearch_path=bot");
  ASSERT_TRUE(CreateBackup([&] { return postgres::Connect(bot); },
                           database_.conninfo(), directory_ / "bot.dump")
                  .ok());
  EXPECT_THAT(
      std::string(Restore(other_, directory_ / "bot.dump").status().message()),
      HasSubstr("is of schema bot, which is not in"));
}

TEST(ComplaintTest, QuotesNoRow) {
  EXPECT_EQ(FirstComplaint("NOTICE\npsql:<stdin>:3: ERROR:  22P02: invalid "
                           "input syntax for type bigint: \"secret\"\n"),
            "SQLSTATE 22P02, a row was refused");
  EXPECT_EQ(FirstComplaint("ERROR:  42P01: relation \"x\" does not exist\nx"),
            "ERROR:  42P01: relation \"x\" does not exist");
  EXPECT_EQ(FirstComplaint("pg_restore: error: no\nDETAIL: secret"),
            "pg_restore: error: no");
}

}  // namespace
}  // namespace userprofile::schema
