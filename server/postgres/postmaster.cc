#include "server/postgres/postmaster.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "server/postgres/data_directory.h"

namespace userprofile::postgres {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(10);
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(5);
// One that ran for so long did not end because of how it was started.
constexpr absl::Duration kStableAfter = absl::Seconds(30);

constexpr off_t kLargestLog = 8 << 20;
constexpr off_t kLogTail = 2000;

// Opens the log, for PostgreSQL's user. One that has grown large is set aside.
absl::StatusOr<int> OpenLog(const std::string& path, const Account& account) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0 && info.st_size > kLargestLog) {
    rename(path.c_str(), absl::StrCat(path, ".old").c_str());
  }
  const int fd = open(
      path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't open ", path));
  }
  if (account.foreign && fchown(fd, account.uid, account.gid) != 0) {
    const int error = errno;
    close(fd);
    return absl::ErrnoToStatus(error, absl::StrCat("can't give away ", path));
  }
  return fd;
}

// What was written to the log since it had the size `start`.
std::string LogSince(int fd, off_t start) {
  const off_t end = lseek(fd, 0, SEEK_END);
  const off_t from = std::max(start, end - kLogTail);
  std::string text(static_cast<std::size_t>(std::max<off_t>(end - from, 0)),
                   '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), from);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return text;
}

// Processes of a PostgreSQL whose main process was killed can finish their
// statement first.
bool PredecessorStillRuns(const absl::Status& status) {
  return absl::StrContains(status.message(), "is still in use");
}

bool HasEnded(pid_t pid) {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(pid), &info,
                WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid;
}

}  // namespace

Postmaster::Postmaster(Options options)
    : options_(std::move(options)), supervisor_([this] { Supervise(); }) {}

Postmaster::~Postmaster() { Stop(); }

absl::Status Postmaster::WaitUntilReady() {
  base::MutexLock lock(mutex_);
  while (!started_) changed_.Wait(mutex_);
  return start_status_;
}

void Postmaster::Stop() {
  if (!supervisor_.joinable()) return;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
    // Fast shutdown; then an immediate one; then no more of that.
    for (const int signal : {SIGINT, SIGQUIT}) {
      if (pid_ != 0) kill(pid_, signal);
      const absl::Time deadline = absl::Now() + options_.stop_timeout / 2;
      while (!finished_ && absl::Now() < deadline) {
        changed_.WaitFor(mutex_, deadline - absl::Now());
      }
    }
    if (pid_ != 0) kill(pid_, SIGKILL);
  }
  supervisor_.join();
}

pid_t Postmaster::pid() const {
  base::MutexLock lock(mutex_);
  return pid_;
}

void Postmaster::Supervise() {
  absl::Status status = StartFirst();
  {
    base::MutexLock lock(mutex_);
    start_status_ = status;
    started_ = true;
    changed_.SignalAll();
  }
  if (status.ok()) KeepRunning();
  base::MutexLock lock(mutex_);
  finished_ = true;
  changed_.SignalAll();
}

absl::Status Postmaster::StartFirst() {
  const absl::Time deadline = absl::Now() + options_.start_timeout;
  while (true) {
    absl::Status status = StartProcess();
    if (status.ok() || !PredecessorStillRuns(status) ||
        absl::Now() > deadline) {
      return status;
    }
    if (!Pause(kFirstPause)) return status;
  }
}

void Postmaster::KeepRunning() {
  absl::Duration pause = kFirstPause;
  absl::Status status;
  while (true) {
    const absl::Time ready = absl::Now();
    if (status.ok()) WaitForEnd();
    if (absl::Now() - ready > kStableAfter) pause = kFirstPause;
    if (!Pause(pause)) return;
    pause = std::min(pause * 2, kLongestPause);
    spdlog::warn("PostgreSQL in {} ended by itself: starting it again",
                 options_.directory);
    status = StartProcess();
    if (!status.ok()) spdlog::error("{}", status.ToString());
  }
}

absl::Status Postmaster::StartProcess() {
  const std::string path = absl::StrCat(options_.directory, "/postgres.log");
  Command command = options_.command;
  USERPROFILE_ASSIGN_OR_RETURN(command.output, OpenLog(path, *command.account));
  const absl::Cleanup close_log = [&] { close(command.output); };
  const off_t log_start = lseek(command.output, 0, SEEK_END);
  command.death_signal = SIGINT;
  USERPROFILE_ASSIGN_OR_RETURN(const pid_t pid, Spawn(command));
  {
    base::MutexLock lock(mutex_);
    pid_ = pid;
    if (stopping_) kill(pid, SIGINT);
  }
  const absl::Time deadline = absl::Now() + options_.start_timeout;
  while (!AcceptsConnections(options_.directory, pid)) {
    if (HasEnded(pid)) {
      WaitForEnd();
      return absl::InternalError(
          absl::StrCat("PostgreSQL did not start; the end of ", path, ":\n",
                       LogSince(command.output, log_start)));
    }
    if (absl::Now() > deadline) {
      kill(pid, SIGQUIT);
      WaitForEnd();
      return absl::DeadlineExceededError(
          absl::StrCat("PostgreSQL took too long to start; the end of ", path,
                       ":\n", LogSince(command.output, log_start)));
    }
    absl::SleepFor(kPollInterval);
  }
  return absl::OkStatus();
}

void Postmaster::WaitForEnd() {
  const pid_t process = pid();
  siginfo_t info;
  while (waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOWAIT) !=
             0 &&
         errno == EINTR) {
  }
  // Until here its number is not given to another process, so that Stop() can't
  // signal a wrong one.
  base::MutexLock lock(mutex_);
  waitpid(process, nullptr, 0);
  pid_ = 0;
}

bool Postmaster::Pause(absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  base::MutexLock lock(mutex_);
  while (!stopping_ && absl::Now() < end) {
    changed_.WaitFor(mutex_, end - absl::Now());
  }
  return !stopping_;
}

}  // namespace userprofile::postgres
