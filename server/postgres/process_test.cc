#include "server/postgres/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;

Command Shell(const std::string& script) {
  Command command;
  command.words = {"/bin/sh", "-c", script};
  return command;
}

TEST(ProcessTest, ReturnsWhatAProgramWroteAndHowItEnded) {
  const absl::StatusOr<Outcome> outcome =
      RunToEnd(Shell("echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->output, "out\nerr\n");
  EXPECT_EQ(outcome->exit_code, 3);
  EXPECT_EQ(RunToEnd(Shell("kill -TERM $$"))->exit_code, 128 + SIGTERM);
}

TEST(ProcessTest, KillsAProgramThatIsNotWantedAnyMore) {
  int asked = 0;
  const absl::StatusOr<Outcome> outcome =
      RunToEnd(Shell("exec sleep 1000"), [&] {
        return ++asked < 2 ? absl::OkStatus() : absl::AbortedError("enough");
      });
  EXPECT_EQ(outcome.status(), absl::AbortedError("enough"));
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(
      RunToEnd(Shell("exit 3"), [] { return absl::OkStatus(); })->exit_code, 3);
}

TEST(ProcessTest, RunsWhereItIsTold) {
  Command command = Shell("pwd");
  command.directory = "/usr";
  EXPECT_EQ(RunToEnd(command)->output, "/usr\n");
}

TEST(ProcessTest, SaysWhatCannotBeRunOrEntered) {
  Command command;
  command.words = {"/nonexistent/program"};
  absl::Status status = Spawn(command).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("/nonexistent/program can't be run"));
  command = Shell("true");
  command.directory = "/nonexistent";
  status = Spawn(command).status();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("/nonexistent can't be entered"));
  command = Shell("true");
  command.account = Account{12345, 23456, "somebody", true};
  command.death_signal = "nonsense";  // as good as not being allowed to
  status = Spawn(command).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("can't run a program as user somebody: "));
}

TEST(ProcessTest, PassesNeitherSignalsNorFilesNorEnvironmentOn) {
  const int file = open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  setenv("PGPASSWORD", "secret", 1);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const absl::StatusOr<Outcome> outcome = RunToEnd(Shell(
      absl::StrCat("grep -E '^Sig(Blk|Ign):.*[1-9a-f]' /proc/self/status; "
                   "readlink /proc/self/fd/",
                   file, "; env | grep PGPASSWORD; cat")));
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  signal(SIGPIPE, SIG_DFL);
  unsetenv("PGPASSWORD");
  close(file);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->output, "");
  EXPECT_EQ(outcome->exit_code, 0);
}

TEST(ProcessTest, EndsAProgramWithTheThreadThatStartedIt) {
  absl::StatusOr<pid_t> pid;
  std::thread([&] { pid = Spawn(Shell("sleep 60")); }).join();
  ASSERT_TRUE(pid.ok()) << pid.status();
  int status = 0;
  ASSERT_EQ(waitpid(*pid, &status, 0), *pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

TEST(ProcessTest, RunsAsAnotherUserWithNoneOfRootsGroups) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  Command command = Shell("id -u; id -G");
  command.account = Account{12345, 23456, "somebody", true};
  EXPECT_EQ(RunToEnd(command)->output, "12345\n23456\n");
}

}  // namespace
}  // namespace userprofile::postgres
