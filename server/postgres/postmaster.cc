#include "server/postgres/postmaster.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file_lock.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/data_directory.h"

namespace userprofile::postgres {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(10);
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(5);
// One that ran for so long did not end because of how it was started.
constexpr absl::Duration kStableAfter = absl::Seconds(30);

constexpr absl::Duration kProgressInterval = absl::Seconds(10);
// How often a process that runs is looked at.
constexpr absl::Duration kTick = absl::Seconds(1);

// Of StatusOf.
constexpr char kReady[] = "ready";
constexpr char kStopping[] = "stopping";

constexpr off_t kLargestLog = 8 << 20;
constexpr off_t kLogTail = 2000;

// Opens the log, for PostgreSQL's user. One that has grown large is set aside.
absl::StatusOr<int> OpenLog(const std::string& path, const Account& account) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0 && info.st_size > kLargestLog) {
    rename(path.c_str(), absl::StrCat(path, ".old").c_str());
  }
  USERPROFILE_ASSIGN_OR_RETURN(const int fd,
                               base::OpenOwnFile(path, O_APPEND, account.uid));
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

std::string LastLine(absl::string_view text) {
  text = absl::StripTrailingAsciiWhitespace(text);
  return std::string(text.substr(text.rfind('\n') + 1));
}

// Processes of a PostgreSQL whose main process was killed can finish their
// statement first.
bool PredecessorStillRuns(const absl::Status& status) {
  return absl::StrContains(status.message(), "is still in use");
}

bool IsZombie(pid_t pid) {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(pid), &info,
                WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid;
}

// Ends a child, ever more insistently: a fast shutdown, then an immediate one,
// then no more of that.
class Ending {
 public:
  Ending(pid_t pid, absl::Duration timeout) : pid_(pid), timeout_(timeout) {}

  // To be called again and again, until it has ended.
  void Insist() {
    const auto now = base::SteadyTime::Now();
    if (next_ == std::begin(kSignals)) due_ = now;
    for (; next_ != std::end(kSignals) && now >= due_; ++next_) {
      kill(pid_, *next_);
      kill(pid_, SIGCONT);  // it may be stopped, and would not hear of it
      due_ = now + timeout_ / 2;
    }
  }

 private:
  static constexpr int kSignals[] = {SIGINT, SIGQUIT, SIGKILL};

  const pid_t pid_;
  const absl::Duration timeout_;
  const int* next_ = std::begin(kSignals);
  base::SteadyTime due_;
};

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
    // What follows is the supervisor's, which notices a little later.
    if (pid_ != 0) Ending(pid_, options_.stop_timeout).Insist();
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
}

absl::Status Postmaster::StartFirst() {
  const base::SteadyTime deadline =
      base::SteadyTime::Now() + options_.start_timeout;
  while (true) {
    absl::Status status = StartProcess();
    if (status.ok() || !PredecessorStillRuns(status) ||
        base::SteadyTime::Now() > deadline) {
      return status;
    }
    if (!Pause(kFirstPause)) return status;
  }
}

void Postmaster::KeepRunning() {
  absl::Duration pause = kFirstPause;
  absl::Status status;
  while (true) {
    const auto ready = base::SteadyTime::Now();
    if (status.ok()) WaitForEnd();
    if (base::SteadyTime::Now() - ready > kStableAfter) pause = kFirstPause;
    if (!Pause(pause)) return;
    pause = std::min(pause * 2, kLongestPause);
    spdlog::warn("PostgreSQL in {} ended: starting it again",
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
  command.death_signal = "INT";
  USERPROFILE_ASSIGN_OR_RETURN(const pid_t pid, Spawn(command));
  {
    base::MutexLock lock(mutex_);
    pid_ = pid;
  }
  const auto begin = base::SteadyTime::Now();
  base::SteadyTime deadline = begin + options_.start_timeout;
  base::SteadyTime tell = begin + kProgressInterval;
  bool too_long = false;
  Ending ending(pid, options_.stop_timeout);
  for (;; absl::SleepFor(kPollInterval)) {
    const std::string status = StatusOf(options_.directory, pid);
    if (status == kReady) return absl::OkStatus();
    const auto now = base::SteadyTime::Now();
    if (IsZombie(pid)) {
      Reap();
      const std::string end = absl::StrCat("the end of ", path, ":\n",
                                           LogSince(command.output, log_start));
      if (!too_long) {
        return absl::InternalError(
            absl::StrCat("PostgreSQL did not start; ", end));
      }
      return absl::DeadlineExceededError(
          absl::StrCat("PostgreSQL took too long to start; ", end));
    }
    if (!status.empty()) deadline = now + options_.start_timeout;
    if (now > deadline) too_long = true;
    if (too_long || status == kStopping || stopping()) ending.Insist();
    if (now > tell) {
      spdlog::info(
          "PostgreSQL in {} is starting since {}, which takes time after a "
          "crash: {}",
          options_.directory,
          absl::FormatDuration(absl::Trunc(now - begin, absl::Seconds(1))),
          LastLine(LogSince(command.output, log_start)));
      tell = now + kProgressInterval;
    }
  }
}

void Postmaster::WaitForEnd() {
  const pid_t process = pid();
  const int handle = OpenProcess(process);
  const absl::Cleanup close_it = [&] { close(handle); };
  const absl::Duration tick = std::min(kTick, options_.stop_timeout / 4);
  Ending ending(process, options_.stop_timeout);
  bool told = false;
  while (!HasEnded(handle, tick) && !IsZombie(process)) {
    const bool stops = StatusOf(options_.directory, process) == kStopping;
    if (!stops && !stopping()) continue;
    if (!told && !stopping()) {
      spdlog::warn(
          "PostgreSQL in {} was told to stop, though not by this server",
          options_.directory);
      told = true;
    }
    ending.Insist();
  }
  Reap();
}

// Until here its number is not given to another process, so that Stop() can't
// signal a wrong one.
void Postmaster::Reap() {
  base::MutexLock lock(mutex_);
  postgres::WaitForEnd(pid_);
  pid_ = 0;
}

bool Postmaster::Pause(absl::Duration duration) {
  const base::SteadyTime end = base::SteadyTime::Now() + duration;
  base::MutexLock lock(mutex_);
  while (!stopping_ && base::SteadyTime::Now() < end) {
    changed_.WaitUntil(mutex_, end);
  }
  return !stopping_;
}

bool Postmaster::stopping() const {
  base::MutexLock lock(mutex_);
  return stopping_;
}

}  // namespace userprofile::postgres
