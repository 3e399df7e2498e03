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
    Value(**cluster, "CREATE TABLE t AS SELECT 42 AS n");
    conninfo = (*cluster)->conninfo();
  }
  const Cluster cluster = StartIn(directory);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(Value(**cluster, "SELECT n FROM t"), "42");
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
  ASSERT_TRUE(session->ExecuteScript("BEGIN; CREATE TABLE t (n int)").ok());
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

TEST(EmbeddedClusterTest, StartsPostgresAgainWhenItIsKilled) {
  TempDir folder;
  const Cluster cluster = StartIn(folder / "db");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  Value(**cluster, "CREATE TABLE t AS SELECT 42 AS n");
  for (int round = 0; round < 2; ++round) {
    const pid_t pid = (*cluster)->pid();
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while ((*cluster)->pid() == pid && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    EXPECT_EQ(Value(**cluster, "SELECT n FROM t"), "42");
    EXPECT_NE((*cluster)->pid(), pid);
  }
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

TEST(EmbeddedClusterTest, DoesNotTrustASocketFolderThatIsNotPrivate) {
  TempDir folder;
  std::string sockets;
  {
    const Cluster cluster = StartIn(folder / "db");
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    sockets = SocketFolderOf(**cluster);
  }
  fs::create_directory_symlink(folder.path(), sockets);
  EXPECT_THAT(Message(StartIn(folder / "db")), HasSubstr(sockets));
  fs::remove(sockets);
  fs::create_directory(sockets);
  chmod(sockets.c_str(), 0755);
  EXPECT_THAT(Message(StartIn(folder / "db")), HasSubstr(sockets));
  fs::remove(sockets);
  EXPECT_TRUE(StartIn(folder / "db").ok());
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
