// What an embedded cluster does about a process that was killed.

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/postgres/embedded_cluster.h"
#include "server/postgres/process.h"
#include "server/postgres/session.h"
#include "tests/support/temp_dir.h"

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;
using ::userprofile::testing::TempDir;

pid_t PostmasterOf(const std::string& directory) {
  std::ifstream file(directory + "/data/postmaster.pid");
  pid_t pid = 0;
  file >> pid;
  return pid;
}

// Or a zombie, where nobody reaps orphans.
bool IsGone(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/cmdline"));
  return file.peek() == std::ifstream::traits_type::eof();
}

bool WaitUntilGone(pid_t pid) {
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!IsGone(pid) && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  return IsGone(pid);
}

// Another process that owns a cluster.
class Owner {
 public:
  explicit Owner(const std::string& directory, bool tidy = true) : tidy_(tidy) {
    std::array<int, 2> output;
    EXPECT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
    Command command;
    command.words = {EMBEDDED_CLUSTER_OWNER, directory};
    command.output = output[1];
    const absl::StatusOr<pid_t> pid = Spawn(command);
    EXPECT_TRUE(pid.ok()) << pid.status();
    pid_ = *pid;
    close(output[1]);
    for (char c; read(output[0], &c, 1) == 1 && c != '\n';) conninfo_ += c;
    close(output[0]);
    EXPECT_THAT(conninfo_, HasSubstr("host=/"));
    postmaster_ = PostmasterOf(directory);
  }

  ~Owner() {
    Kill();
    EXPECT_TRUE(WaitUntilGone(postmaster_));
    // What waits for a next start, which may not come.
    if (tidy_) std::filesystem::remove_all(socket_folder());
  }

  void Kill() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  const std::string& conninfo() const { return conninfo_; }
  std::string socket_folder() const {
    const std::size_t begin = conninfo_.find('/');
    return conninfo_.substr(begin, conninfo_.find(' ') - begin);
  }
  pid_t postmaster() const { return postmaster_; }

 private:
  const bool tidy_;
  pid_t pid_ = 0;
  pid_t postmaster_ = 0;
  std::string conninfo_;
};

EmbeddedCluster::Options OptionsFor(const std::string& directory) {
  EmbeddedCluster::Options options;
  options.directory = directory;
  options.durable = false;  // which is for power cuts, not for kill -9
  return options;
}

std::unique_ptr<Session> ConnectTo(const std::string& conninfo) {
  ConnectOptions options;
  options.conninfo = conninfo;
  auto session = Connect(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

TEST(EmbeddedClusterCrashTest, EndsPostgresWhenItsOwnerIsKilled) {
  TempDir folder;
  Owner owner(folder / "db");
  ASSERT_GT(owner.postmaster(), 0);
  owner.Kill();
  EXPECT_TRUE(WaitUntilGone(owner.postmaster()));
}

TEST(EmbeddedClusterCrashTest, KeepsEveryCommitWhenItsOwnerIsKilled) {
  TempDir folder;
  int committed = 0;
  for (int round = 0; round < 3; ++round) {
    Owner owner(folder / "db");
    const auto session = ConnectTo(owner.conninfo());
    ASSERT_TRUE(
        session
            ->ExecuteScript(
                "CREATE TABLE IF NOT EXISTS public.t (n int PRIMARY KEY)")
            .ok());
    const Statement insert{"insert", "INSERT INTO public.t VALUES ($1::int)"};
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(session->Execute(insert, {absl::StrCat(committed + 1)}).ok());
      ++committed;
    }
    owner.Kill();
  }
  const auto cluster = EmbeddedCluster::Start(OptionsFor(folder / "db"));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const auto rows =
      ConnectTo((*cluster)->conninfo())
          ->ExecuteScript("SELECT count(*), max(n) FROM public.t");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->Int64(0, 0), committed);
  EXPECT_EQ(rows->Int64(0, 1), committed);
}

TEST(EmbeddedClusterCrashTest, RemovesTheSocketFoldersOfKilledServers) {
  std::string stale;
  // Stays, for its inode names the folder, and a new directory could get that.
  TempDir killed;
  {
    Owner owner(killed / "db", /*tidy=*/false);
    stale = owner.socket_folder();
  }
  EXPECT_TRUE(std::filesystem::exists(stale));
  TempDir folder;
  Owner serves(folder / "serves");
  const auto cluster = EmbeddedCluster::Start(OptionsFor(folder / "db"));
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_FALSE(std::filesystem::exists(stale));
  EXPECT_TRUE(std::filesystem::exists(serves.socket_folder()));
}

TEST(EmbeddedClusterCrashTest, RefusesADirectoryOfAnotherProcess) {
  TempDir folder;
  Owner owner(folder / "db");
  EXPECT_THAT(
      std::string(
          EmbeddedCluster::Start(OptionsFor(folder / "db")).status().message()),
      HasSubstr("in use by another userprofile server"));
}

TEST(EmbeddedClusterCrashTest, WaitsForTheProcessesOfAKilledPostgres) {
  TempDir folder;
  Owner owner(folder / "db");
  const auto session = ConnectTo(owner.conninfo());
  owner.Kill();
  kill(owner.postmaster(), SIGKILL);
  const auto cluster = EmbeddedCluster::Start(OptionsFor(folder / "db"));
  EXPECT_TRUE(cluster.ok()) << cluster.status();
}

TEST(EmbeddedClusterCrashTest, NamesAPostgresThatDoesNotEnd) {
  TempDir folder;
  Owner owner(folder / "db");
  ASSERT_EQ(kill(owner.postmaster(), SIGSTOP), 0);
  owner.Kill();
  EmbeddedCluster::Options options = OptionsFor(folder / "db");
  options.stop_timeout = absl::Milliseconds(200);
  const absl::Status status = EmbeddedCluster::Start(options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(absl::StrCat("process ", owner.postmaster())));
  kill(owner.postmaster(), SIGCONT);
  const auto cluster = EmbeddedCluster::Start(OptionsFor(folder / "db"));
  EXPECT_TRUE(cluster.ok()) << cluster.status();
}

TEST(EmbeddedClusterCrashTest, DoesNotTouchAProcessThatHasTheOldNumber) {
  TempDir folder;
  { ASSERT_TRUE(EmbeddedCluster::Start(OptionsFor(folder / "db")).ok()); }
  Command command;
  command.words = {"/bin/sleep", "60"};
  const absl::StatusOr<pid_t> other = Spawn(command);
  ASSERT_TRUE(other.ok());
  std::ofstream(folder / "db/data/postmaster.pid") << *other << "\n"
                                                   << folder / "db/data"
                                                   << "\n";
  {
    const auto cluster = EmbeddedCluster::Start(OptionsFor(folder / "db"));
    EXPECT_TRUE(cluster.ok()) << cluster.status();
  }
  EXPECT_EQ(waitpid(*other, nullptr, WNOHANG), 0) << "it was ended";
  kill(*other, SIGKILL);
  waitpid(*other, nullptr, 0);
}

TEST(EmbeddedClusterCrashTest, LeavesAloneWhatAnotherPostgresWorksOn) {
  TempDir folder;
  { ASSERT_TRUE(EmbeddedCluster::Start(OptionsFor(folder / "db")).ok()); }
  const std::string mark = folder / "db/data/postmaster.pid";
  std::ofstream(mark) << getpid() << "\n"
                      << folder / "db/data"
                      << "\n1700000000\n5432\n/var/run/postgresql\n";
  const auto cluster = EmbeddedCluster::Start(OptionsFor(folder / "db"));
  EXPECT_TRUE(absl::IsFailedPrecondition(cluster.status()));
  EXPECT_THAT(std::string(cluster.status().message()),
              HasSubstr("not the service's own"));
  EXPECT_TRUE(std::filesystem::exists(mark));
}

}  // namespace
}  // namespace userprofile::postgres
