#include "server/postgres/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace userprofile::postgres {
namespace {

constexpr int kLastSignal = 64;

enum class Step : int { kAccount, kDirectory, kProgram, kOther };

struct Failure {
  Step step;
  int error;
};

// All that the child needs, made before the fork: between fork and exec, only
// async-signal-safe functions may be called.
struct ChildPlan {
  const Command& command;
  std::vector<char*> words;
  std::vector<char*> environment;
  pid_t parent;
  int report;
};

[[noreturn]] void Fail(const ChildPlan& plan, Step step) {
  const Failure failure{step, errno};
  [[maybe_unused]] const ssize_t n =
      write(plan.report, &failure, sizeof failure);
  _exit(127);
}

// System calls rather than glibc's setuid() and so on, which coordinate with
// threads that do not exist in the child.
bool Become(const Account& account) {
  return syscall(SYS_setgroups, 0, nullptr) == 0 &&
         syscall(SYS_setresgid, account.gid, account.gid, account.gid) == 0 &&
         syscall(SYS_setresuid, account.uid, account.uid, account.uid) == 0;
}

void ResetSignals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int s = 1; s <= kLastSignal; ++s) sigaction(s, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void BecomeProgram(const ChildPlan& plan) {
  const Command& command = plan.command;
  ResetSignals();
  setsid();
  umask(077);
  if (command.account && command.account->foreign &&
      !Become(*command.account)) {
    Fail(plan, Step::kAccount);
  }
  // After the change of user, which would clear it. A parent that died before
  // is not seen by it.
  prctl(PR_SET_PDEATHSIG, command.death_signal);
  if (getppid() != plan.parent) _exit(127);
  if (chdir(command.directory.c_str()) != 0) Fail(plan, Step::kDirectory);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int input = command.input >= 0 ? command.input : null;
  const int output = command.output >= 0 ? command.output : null;
  const int errors = command.errors >= 0 ? command.errors : output;
  if (null < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 ||
      dup2(errors, 2) < 0) {
    Fail(plan, Step::kOther);
  }
  syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  execve(plan.words[0], plan.words.data(), plan.environment.data());
  Fail(plan, Step::kProgram);
}

absl::Status Explain(const Command& command, const Failure& failure) {
  const bool foreign = command.account && command.account->foreign;
  const std::string who =
      foreign ? absl::StrCat("user ", command.account->name) : "this user";
  const char* hint =
      foreign ? ", whom PostgreSQL runs as when root starts it (a directory "
                "in /var/lib is one that everybody can reach)"
              : "";
  switch (failure.step) {
    case Step::kAccount:
      return absl::ErrnoToStatus(failure.error,
                                 absl::StrCat("can't run a program as ", who));
    case Step::kDirectory:
      return absl::ErrnoToStatus(
          failure.error,
          absl::StrCat(command.directory, " can't be entered by ", who, hint));
    case Step::kProgram:
      return absl::ErrnoToStatus(
          failure.error,
          absl::StrCat(command.words[0], " can't be run by ", who, hint));
    case Step::kOther:
      break;
  }
  return absl::ErrnoToStatus(failure.error,
                             absl::StrCat("can't run ", command.words[0]));
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// fork(), with no signal able to run a handler of ours in the child.
pid_t ForkWithSignalsBlocked(const ChildPlan& plan) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(plan);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pid;
}

ssize_t ReadSome(int fd, void* buffer, std::size_t size) {
  ssize_t n;
  do {
    n = read(fd, buffer, size);
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

int WaitForEnd(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// By system call, for Debian 12's <sys/pidfd.h> can't be used from C++.
int OpenProcess(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

void SendSignal(int process, int signal) {
  syscall(SYS_pidfd_send_signal, process, signal, nullptr, 0);
}

bool HasEnded(int process, absl::Duration timeout) {
  pollfd end = {process, POLLIN, 0};
  return poll(&end, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) >
         0;
}

absl::StatusOr<pid_t> Spawn(const Command& command) {
  std::array<int, 2> report;
  if (pipe2(report.data(), O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "can't create a pipe");
  }
  const absl::Cleanup close_reader = [&] { close(report[0]); };

  std::vector<std::string> words = command.words;
  const char* path = getenv("PATH");
  std::vector<std::string> environment = {
      absl::StrCat("PATH=", path == nullptr ? "/usr/bin:/bin" : path),
      "LC_ALL=C", "TZ=UTC"};
  environment.insert(environment.end(), command.environment.begin(),
                     command.environment.end());
  const pid_t pid = ForkWithSignalsBlocked(
      {command, Pointers(words), Pointers(environment), getpid(), report[1]});
  const int error = errno;
  close(report[1]);
  if (pid < 0) return absl::ErrnoToStatus(error, "can't create a process");

  // The pipe closes without a word when exec succeeds.
  Failure failure;
  if (ReadSome(report[0], &failure, sizeof failure) != sizeof failure) {
    return pid;
  }
  WaitForEnd(pid);
  return Explain(command, failure);
}

absl::StatusOr<Outcome> RunToEnd(Command command) {
  std::array<int, 2> output;
  if (pipe2(output.data(), O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "can't create a pipe");
  }
  if (command.output < 0) command.output = output[1];
  command.errors = output[1];
  const absl::StatusOr<pid_t> pid = Spawn(command);
  close(output[1]);
  const absl::Cleanup close_reader = [&] { close(output[0]); };
  if (!pid.ok()) return pid.status();

  Outcome outcome;
  std::array<char, 4096> buffer;
  ssize_t n;
  while ((n = ReadSome(output[0], buffer.data(), buffer.size())) > 0) {
    outcome.output.append(buffer.data(), static_cast<std::size_t>(n));
  }
  outcome.exit_code = WaitForEnd(*pid);
  return outcome;
}

}  // namespace userprofile::postgres
