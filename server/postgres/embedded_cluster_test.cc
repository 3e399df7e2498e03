#include "server/postgres/embedded_cluster.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/postgres/session.h"
#include "tests/support/temp_dir.h"

namespace userprofile::postgres {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::userprofile::testing::TempDir;
using Cluster = absl::StatusOr<std::unique_ptr<EmbeddedCluster>>;

EmbeddedCluster::Options OptionsFor(const std::string& directory) {
  EmbeddedCluster::Options options;
  options.directory = directory;
  options.durable = false;
  return options;
}

Cluster StartIn(const std::string& directory) {
  return EmbeddedCluster::Start(OptionsFor(directory));
}

// Waits for a server that comes back.
std::unique_ptr<Session> ConnectTo(const EmbeddedCluster& cluster) {
  ConnectOptions options;
  options.conninfo = cluster.conninfo();
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (true) {
    auto session = Connect(options);
    if (session.ok()) return *std::move(session);
    if (absl::Now() > deadline) {
      ADD_FAILURE() << session.status();
      return nullptr;
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

std::string Value(const EmbeddedCluster& cluster, const std::string& sql) {
  const absl::StatusOr<Rows> rows = ConnectTo(cluster)->ExecuteScript(sql);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() && !rows->empty() ? std::string(rows->Text(0, 0)) : "";
}

std::string SocketFolderOf(const EmbeddedCluster& cluster) {
  const std::string& conninfo = cluster.conninfo();
  const std::size_t begin = conninfo.find('/');
  return conninfo.substr(begin, conninfo.find(' ') - begin);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

std::string Message(const Cluster& cluster) {
  return std::string(cluster.status().message());
}

TEST(EmbeddedClusterTest, FindsItsDataAgain) {
  TempDir folder;
  const std::string directory = folder / "missing/parents/db";
  std::string conninfo;
  {
    const Cluster cluster = StartIn(directory);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    Value(**cluster, "CREATE TABLE public.t AS SELECT 42 AS n");
    conninfo = (*cluster)->conninfo();
  }
  const Cluster cluster = StartIn(directory);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Value(**cluster, "SELECT n FROM public.t"), "42");
  EXPECT_EQ((*cluster)->conninfo(), conninfo);
}

TEST(EmbeddedClusterTest, LeavesNothingBehindWhenStopped) {
  TempDir folder;
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const std::string sockets = SocketFolderOf(**cluster);
  const pid_t pid = (*cluster)->pid();
  ASSERT_TRUE(fs::exists(sockets));
  ASSERT_GT(pid, 0);
  (*cluster)->Stop();
  (*cluster)->Stop();
  EXPECT_FALSE(fs::exists(sockets));
  EXPECT_EQ((*cluster)->pid(), 0);
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_TRUE(StartIn(folder / "db").ok());
}

TEST(EmbeddedClusterTest, StopsWhileClientsAreConnectedAndBusy) {
  TempDir folder;
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto session = ConnectTo(**cluster);
  ASSERT_TRUE(
      session->ExecuteScript("BEGIN; CREATE TABLE public.t (n int)").ok());
  const absl::Time begin = absl::Now();
  (*cluster)->Stop();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(8));
}

TEST(EmbeddedClusterTest, IsReachedThroughAPrivateSocketOnly) {
  TempDir folder;
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Value(**cluster, "SHOW listen_addresses"), "");
  struct stat info;
  ASSERT_EQ(lstat(SocketFolderOf(**cluster).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700);
}

TEST(EmbeddedClusterTest, IsDurableUnlessToldOtherwise) {
  TempDir folder;
  EmbeddedCluster::Options options = OptionsFor(folder / "db");
  options.durable = true;
  options.settings = {{"work_mem", "5MB"}};
  const Cluster cluster = EmbeddedCluster::Start(options);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Value(**cluster, "SHOW fsync"), "on");
  EXPECT_EQ(Value(**cluster, "SHOW synchronous_commit"), "on");
  EXPECT_EQ(Value(**cluster, "SHOW server_encoding"), "UTF8");
  EXPECT_EQ(Value(**cluster, "SHOW work_mem"), "5MB");
}

TEST(EmbeddedClusterTest, WorksInADirectoryWithALongName) {
  TempDir folder;
  const std::string directory = folder / std::string(200, 'd');
  const Cluster cluster = StartIn(directory);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Value(**cluster, "SELECT 1"), "1");
}

TEST(EmbeddedClusterTest, WorksInADirectoryWithAnOddName) {
  TempDir folder;
  const Cluster cluster = StartIn(folder / "a 'b' \"c\" = \\ ,آ");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Value(**cluster, "SELECT 1"), "1");
}

TEST(EmbeddedClusterTest, RefusesADirectoryInUse) {
  TempDir folder;
  const Cluster first = StartIn(folder / "db");
  ASSERT_TRUE(first.ok()) << first.status();
  const Cluster second = StartIn(folder / "db/../db");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(second),
              HasSubstr(absl::StrCat(
                  "/db is in use by another userprofile server (process ",
                  getpid(), ")")));
  EXPECT_EQ(Value(**first, "SELECT 1"), "1");
}

TEST(EmbeddedClusterTest, TellsHowToConnectWhileItRuns) {
  TempDir folder;
  EXPECT_EQ(EmbeddedCluster::ConninfoIfRunning(folder / "db"), absl::nullopt);
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(EmbeddedCluster::ConninfoIfRunning(folder / "db"),
            (*cluster)->conninfo());
  (*cluster)->Stop();
  EXPECT_EQ(EmbeddedCluster::ConninfoIfRunning(folder / "db"), absl::nullopt);
}

void KillAndAwaitAnother(const EmbeddedCluster& cluster, int signal) {
  const pid_t pid = cluster.pid();
  ASSERT_EQ(kill(pid, signal), 0);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (cluster.pid() == pid && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(Value(cluster, "SELECT 1"), "1");
  EXPECT_NE(cluster.pid(), pid);
}

TEST(EmbeddedClusterTest, StartsPostgresAgainWhoeverEndsIt) {
  TempDir folder;
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  Value(**cluster, "CREATE TABLE public.t AS SELECT 42 AS n");
  // SIGTERM waits for those who are connected, and lets nobody else in.
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGKILL, SIGKILL}) {
    SCOPED_TRACE(signal);
    const auto connected = ConnectTo(**cluster);
    KillAndAwaitAnother(**cluster, signal);
    EXPECT_EQ(Value(**cluster, "SELECT n FROM public.t"), "42");
  }
}

TEST(EmbeddedClusterTest, EndsAPostgresThatIsStopped) {
  TempDir folder;
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  ASSERT_EQ(kill((*cluster)->pid(), SIGSTOP), 0);
  const absl::Time begin = absl::Now();
  (*cluster)->Stop();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(8));
}

TEST(EmbeddedClusterTest, WaitsForAPostgresThatRecovers) {
  TempDir folder;
  { ASSERT_TRUE(StartIn(folder / "db").ok()); }
  std::ofstream(folder / "db/data/recovery.signal") << "";
  EmbeddedCluster::Options options = OptionsFor(folder / "db");
  options.start_timeout = absl::Milliseconds(500);
  options.settings = {{"restore_command", "sleep 1; false"},
                      {"hot_standby", "off"}};
  const absl::Time begin = absl::Now();
  const Cluster cluster = EmbeddedCluster::Start(options);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_GT(absl::Now() - begin, 2 * options.start_timeout);
  EXPECT_EQ(Value(**cluster, "SELECT 1"), "1");
}

TEST(EmbeddedClusterTest, MakesItsDataAnewAfterAnInterruptedFirstStart) {
  TempDir folder;
  fs::create_directories(folder / "db/data.new/base");
  std::ofstream(folder / "db/data.new/PG_VERSION") << "15";
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_FALSE(fs::exists(folder / "db/data.new"));
}

TEST(EmbeddedClusterTest, NamesThePackageThatADirectoryNeeds) {
  TempDir folder;
  fs::create_directories(folder / "db/data");
  std::ofstream(folder / "db/data/PG_VERSION") << "9\n";
  EXPECT_THAT(Message(StartIn(folder / "db")),
              AllOf(HasSubstr("holds data of PostgreSQL 9"),
                    HasSubstr("install the Debian package `postgresql-9`")));
}

TEST(EmbeddedClusterTest, RefusesWhatIsNoDatabase) {
  TempDir folder;
  fs::create_directories(folder / "db/data");
  std::ofstream(folder / "file") << "x";
  EXPECT_EQ(StartIn(folder / "db").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(StartIn(folder / "file").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(EmbeddedClusterTest, ShowsTheLogWhenPostgresDoesNotStart) {
  TempDir folder;
  EmbeddedCluster::Options options = OptionsFor(folder / "db");
  options.settings = {{"shared_buffers", "many"}};
  const Cluster cluster = EmbeddedCluster::Start(options);
  EXPECT_THAT(Message(cluster),
              AllOf(HasSubstr("postgres.log"), HasSubstr("shared_buffers")));
  EXPECT_TRUE(StartIn(folder / "db").ok());
}

TEST(EmbeddedClusterTest, KeepsUsersDataOutOfTheLog) {
  TempDir folder;
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto session = ConnectTo(**cluster);
  session->ExecuteScript("SELECT 'Alice'::bigint").status().IgnoreError();
  session->ExecuteScript("DO $$BEGIN RAISE WARNING 'Alice'; END$$")
      .status()
      .IgnoreError();
  session->Execute({"bad", "SELECT $1::text::bigint"}, {"Alice"})
      .status()
      .IgnoreError();
  (*cluster)->Stop();
  EXPECT_THAT(ReadFile(folder / "db/postgres.log"),
              AllOf(HasSubstr("ready to accept"), Not(HasSubstr("Alice"))));
}

TEST(EmbeddedClusterTest, LeavesASocketFolderThatIsSomebodyElsesToThem) {
  TempDir folder;
  std::string sockets;
  {
    const Cluster cluster = StartIn(folder / "db");
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    sockets = SocketFolderOf(**cluster);
  }
  const auto expect_other = [&] {
    const Cluster cluster = StartIn(folder / "db");
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    EXPECT_NE(SocketFolderOf(**cluster), sockets);
    EXPECT_EQ(Value(**cluster, "SELECT 1"), "1");
    EXPECT_EQ(EmbeddedCluster::ConninfoIfRunning(folder / "db"),
              (*cluster)->conninfo());
  };
  fs::create_directory_symlink(folder.path(), sockets);
  expect_other();
  EXPECT_TRUE(fs::exists(folder / "db"));
  fs::remove(sockets);
  fs::create_directory(sockets);
  chmod(sockets.c_str(), 0755);
  std::ofstream(sockets + "/theirs") << "x";
  expect_other();
  EXPECT_TRUE(fs::exists(sockets + "/theirs"));
  fs::remove_all(sockets);
}

// The account that PostgreSQL runs as when the tests do.
passwd* AccountOf(const EmbeddedCluster& cluster) {
  struct stat info;
  EXPECT_EQ(stat(SocketFolderOf(cluster).c_str(), &info), 0);
  return getpwuid(info.st_uid);
}

TEST(EmbeddedClusterTest, PutsItsSocketIntoTheRuntimeDirectoryOfItsAccount) {
  TempDir folder;
  const std::string runtime = folder / "run";
  fs::create_directory(runtime);
  chmod(runtime.c_str(), 0700);
  setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
  const passwd* account = nullptr;
  {
    const Cluster cluster = StartIn(folder / "db");
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    account = AccountOf(**cluster);
    // Not into root's, which PostgreSQL can't enter.
    EXPECT_EQ(absl::StartsWith(SocketFolderOf(**cluster), runtime),
              geteuid() != 0);
  }
  ASSERT_NE(account, nullptr);
  if (geteuid() == 0) {
    ASSERT_EQ(chown(runtime.c_str(), account->pw_uid, account->pw_gid), 0);
    const Cluster cluster = StartIn(folder / "db");
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    EXPECT_THAT(SocketFolderOf(**cluster), HasSubstr(runtime));
    EXPECT_EQ(Value(**cluster, "SELECT 1"), "1");
  }
  chmod(runtime.c_str(), 0777);
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_THAT(SocketFolderOf(**cluster), Not(HasSubstr(runtime)));
  unsetenv("XDG_RUNTIME_DIR");
}

// The socket's path has 107 bytes at most, also where its folder's usual name
// is taken.
TEST(EmbeddedClusterTest, PutsItsSocketElsewhereOnlyIfItsPathWouldBeTooLong) {
  TempDir folder;
  std::size_t name = 0;  // the length of the folder's, and of what follows
  uid_t account = 0;
  {
    const Cluster cluster = StartIn(folder / "db");
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    const std::string usual = SocketFolderOf(**cluster);
    name = usual.size() - usual.rfind('/') +
           std::string("-01234567/.s.PGSQL.5432").size();
    account = AccountOf(**cluster)->pw_uid;
  }
  for (const std::size_t length : {107, 108}) {
    SCOPED_TRACE(length);
    std::string runtime = folder / "";
    runtime.resize(length - name, 'r');
    fs::create_directory(runtime);
    ASSERT_EQ(chmod(runtime.c_str(), 0700), 0);
    ASSERT_EQ(chown(runtime.c_str(), account, static_cast<gid_t>(-1)), 0);
    setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
    const auto start = [&] {
      const Cluster cluster = StartIn(folder / "db");
      EXPECT_TRUE(cluster.ok()) << cluster.status();
      if (!cluster.ok()) return std::string();
      EXPECT_EQ(Value(**cluster, "SELECT 1"), "1");
      return SocketFolderOf(**cluster);
    };
    const std::string usual = start();
    EXPECT_EQ(absl::StartsWith(usual, runtime), length == 107) << usual;
    std::ofstream(usual) << "taken";
    EXPECT_NE(start(), usual);
    fs::remove(usual);
  }
  unsetenv("XDG_RUNTIME_DIR");
}

TEST(EmbeddedClusterTest, WritesIntoNoFileThatSomebodyPutThere) {
  for (const char* name : {"lock", "postgres.log"}) {
    SCOPED_TRACE(name);
    TempDir folder;
    fs::create_directory(folder / "db");
    const std::string theirs = folder / "theirs";
    const std::string path = folder / (std::string("db/") + name);
    std::ofstream(theirs) << "precious";
    struct stat before;
    ASSERT_EQ(stat(theirs.c_str(), &before), 0);
    const auto expect_refused = [&] {
      EXPECT_THAT(Message(StartIn(folder / "db")), HasSubstr(path));
      EXPECT_EQ(HolderOf(folder / "db"), DirectoryHolder::kNobody);
      struct stat after;
      ASSERT_EQ(stat(theirs.c_str(), &after), 0);
      EXPECT_EQ(after.st_uid, before.st_uid);
      EXPECT_EQ(ReadFile(theirs), "precious");
      fs::remove(path);
    };
    fs::create_hard_link(theirs, path);
    expect_refused();
    fs::create_symlink(theirs, path);
    expect_refused();
    fs::create_directory(path);
    expect_refused();
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    expect_refused();
    if (geteuid() == 0) {  // somebody else's file in a folder of ours
      std::ofstream(path) << "x";
      ASSERT_EQ(chown(path.c_str(), 12345, 12345), 0);
      expect_refused();
    }
    EXPECT_TRUE(StartIn(folder / "db").ok());
  }
}

TEST(EmbeddedClusterTest, SaysSoWhereAFileOfPostgresIsADirectory) {
  TempDir folder;
  { ASSERT_TRUE(StartIn(folder / "db").ok()); }
  fs::create_directory(folder / "db/data/postmaster.pid");
  EXPECT_THAT(Message(StartIn(folder / "db")), HasSubstr("postmaster.pid"));
}

TEST(EmbeddedClusterTest, RunsPostgresAsAnotherUserThanRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TempDir folder;
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  struct stat process;
  ASSERT_EQ(stat(absl::StrCat("/proc/", (*cluster)->pid()).c_str(), &process),
            0);
  EXPECT_NE(process.st_uid, 0);
  struct stat data;
  ASSERT_EQ(stat((folder / "db/data").c_str(), &data), 0);
  EXPECT_EQ(data.st_uid, process.st_uid);
}

TEST(EmbeddedClusterTest, RunsPostgresAsTheOwnerOfTheDirectory) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TempDir folder;
  const passwd* nobody = getpwnam("nobody");
  ASSERT_NE(nobody, nullptr);
  fs::create_directory(folder / "db");
  ASSERT_EQ(chown((folder / "db").c_str(), nobody->pw_uid, nobody->pw_gid), 0);
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  struct stat process;
  ASSERT_EQ(stat(absl::StrCat("/proc/", (*cluster)->pid()).c_str(), &process),
            0);
  EXPECT_EQ(process.st_uid, nobody->pw_uid);
}

TEST(EmbeddedClusterTest, StartsAgainInADirectoryThatStaysRoots) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TempDir folder;
  fs::create_directory(folder / "db");
  for (int i = 0; i < 2; ++i) {
    const Cluster cluster = StartIn(folder / "db");
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    KillAndAwaitAnother(**cluster, SIGKILL);
  }
}

TEST(EmbeddedClusterTest, SaysThatItsUserCannotReachTheDirectory) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  TempDir folder;
  ASSERT_EQ(chmod(folder.path().c_str(), 0700), 0);
  const Cluster cluster = StartIn(folder / "db");
  EXPECT_EQ(cluster.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(Message(cluster), AllOf(HasSubstr("can't be entered by user"),
                                      HasSubstr("/var/lib")));
}

}  // namespace
}  // namespace userprofile::postgres
