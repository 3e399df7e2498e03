#include "server/postgres/embedded_cluster.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <thread>

#include <spdlog/spdlog.h>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/process.h"
#include "server/postgres/session.h"

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

constexpr std::pair<const char*, const char*> kSettings[] = {
    {"listen_addresses", ""},
    {"port", "5432"},
    {"unix_socket_permissions", "0700"},
    {"max_connections", "50"},
    {"shared_buffers", "128MB"},
    {"jit", "off"},
    {"timezone", "UTC"},
    {"fsync", "on"},
    {"full_page_writes", "on"},
    {"synchronous_commit", "on"},
    // Errors and statements can hold users' data, so the log has neither: it
    // tells of PostgreSQL's own life (LOG, FATAL and PANIC).
    {"log_destination", "stderr"},
    {"logging_collector", "off"},
    {"log_line_prefix", "%m [%p] "},
    {"log_min_messages", "log"},
    {"log_min_error_statement", "panic"},
    {"log_error_verbosity", "terse"},
    {"log_statement", "none"},
    {"log_min_duration_statement", "-1"},
    {"log_checkpoints", "off"},
    {"log_autovacuum_min_duration", "-1"},
};

constexpr std::pair<const char*, const char*> kUndurableSettings[] = {
    {"fsync", "off"},
    {"full_page_writes", "off"},
};

// The words of the command that starts PostgreSQL; of settings that are named
// twice, the last one holds. DataFolder comes first (see StopOrphan).
std::vector<std::string> ServerCommand(const EmbeddedCluster::Options& options,
                                       const Binaries& binaries,
                                       const std::string& socket_folder) {
  std::vector<std::string> words = {absl::StrCat(binaries.folder, "/postgres"),
                                    "-D", DataFolder(options.directory), "-k",
                                    socket_folder};
  const auto set = [&](absl::string_view name, absl::string_view value) {
    words.push_back("-c");
    words.push_back(absl::StrCat(name, "=", value));
  };
  for (const auto& [name, value] : kSettings) set(name, value);
  if (!options.durable) {
    for (const auto& [name, value] : kUndurableSettings) set(name, value);
  }
  for (const auto& [name, value] : options.settings) set(name, value);
  return words;
}

// Makes the directory if it is missing, and gives its absolute path.
absl::StatusOr<std::string> MakeDirectory(const std::string& directory,
                                          const Account& account) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path path = fs::absolute(directory, error);
  if (!error && !fs::exists(path, error)) {
    fs::create_directories(path.parent_path(), error);
    if (!error) {
      USERPROFILE_RETURN_IF_ERROR(MakeFolder(path.string(), 0755, account));
    }
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("can't create ", directory));
  }
  const fs::path canonical = fs::canonical(path, error);
  if (error || !fs::is_directory(canonical, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is not a directory"));
  }
  return canonical.string();
}

std::string ConninfoFor(absl::string_view socket_folder,
                        absl::string_view database) {
  return absl::StrCat("host=", socket_folder, " port=5432 user=", kEmbeddedUser,
                      " dbname=", database);
}

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

// Keeps PostgreSQL's main process running: starts it, watches it, and starts it
// again, ever less eagerly, when it ends by itself. One that somebody else told
// to stop takes no connections, for as long as an old one lives: it is ended at
// once, too. All from one thread, whose end would be the process's end
// (Command::death_signal). Thread-safe.
class Postmaster {
 public:
  // `command` is what to run; its output is set here.
  Postmaster(EmbeddedCluster::Options options, Command command);

  // Ends the process for good, and waits for it.
  ~Postmaster();

  // Waits until connections are accepted for the first time, or the first start
  // has failed.
  absl::Status WaitUntilReady();

  // 0 while there is no process.
  pid_t pid() const;

 private:
  // Run by the supervising thread.
  void Supervise();
  absl::Status StartProcess();  // if it fails, no process is left
  void WaitForEnd();
  void Reap();
  bool Pause(absl::Duration duration);  // false once it shall end
  bool stopping() const;

  const EmbeddedCluster::Options options_;
  Command command_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  pid_t pid_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::optional<absl::Status> start_status_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread supervisor_;  // last: uses the members above
};

Postmaster::Postmaster(EmbeddedCluster::Options options, Command command)
    : options_(std::move(options)),
      command_(std::move(command)),
      supervisor_([this] { Supervise(); }) {}

absl::Status Postmaster::WaitUntilReady() {
  base::MutexLock lock(mutex_);
  while (!start_status_) changed_.Wait(mutex_);
  return *start_status_;
}

Postmaster::~Postmaster() {
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
  const base::SteadyTime deadline =
      base::SteadyTime::Now() + options_.start_timeout;
  absl::Status status = StartProcess();
  while (PredecessorStillRuns(status) && base::SteadyTime::Now() < deadline &&
         Pause(kFirstPause)) {
    status = StartProcess();
  }
  {
    base::MutexLock lock(mutex_);
    start_status_ = status;
    changed_.SignalAll();
  }
  if (!status.ok()) return;
  for (absl::Duration pause = kFirstPause;;
       pause = std::min(pause * 2, kLongestPause)) {
    const auto ready = base::SteadyTime::Now();
    if (status.ok()) WaitForEnd();
    if (base::SteadyTime::Now() - ready > kStableAfter) pause = kFirstPause;
    if (!Pause(pause)) return;
    spdlog::warn("PostgreSQL in {} ended: starting it again",
                 options_.directory);
    status = StartProcess();
    if (!status.ok()) spdlog::error("{}", status.ToString());
  }
}

absl::Status Postmaster::StartProcess() {
  const std::string path = absl::StrCat(options_.directory, "/postgres.log");
  USERPROFILE_ASSIGN_OR_RETURN(const int log, OpenLog(path, *command_.account));
  const absl::Cleanup close_log = [&] { close(log); };
  const off_t log_start = lseek(log, 0, SEEK_END);
  command_.output = log;
  command_.death_signal = "INT";
  USERPROFILE_ASSIGN_OR_RETURN(const pid_t pid, Spawn(command_));
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
      return absl::Status(
          too_long ? absl::StatusCode::kDeadlineExceeded
                   : absl::StatusCode::kInternal,
          absl::StrCat("PostgreSQL ",
                       too_long ? "took too long to start" : "did not start",
                       "; the end of ", path, ":\n", LogSince(log, log_start)));
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
          LastLine(LogSince(log, log_start)));
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

bool EmbeddedCluster::Exists(const std::string& directory) {
  std::error_code error;
  return std::filesystem::exists(DataFolder(directory), error);
}

absl::optional<std::string> EmbeddedCluster::ConninfoIfRunning(
    const std::string& directory) {
  if (HolderOf(directory) == DirectoryHolder::kNobody) return absl::nullopt;
  const std::string socket_folder = SocketFolderOf(directory);
  if (socket_folder.empty()) return absl::nullopt;
  return ConninfoFor(socket_folder, kEmbeddedDatabase);
}

absl::StatusOr<std::unique_ptr<EmbeddedCluster>> EmbeddedCluster::Start(
    Options options) {
  USERPROFILE_ASSIGN_OR_RETURN(const Account account,
                               AccountFor(options.directory));
  USERPROFILE_ASSIGN_OR_RETURN(options.directory,
                               MakeDirectory(options.directory, account));
  USERPROFILE_ASSIGN_OR_RETURN(
      std::unique_ptr<base::FileLock> lock,
      HoldDirectory(options.directory, options.holder));
  USERPROFILE_RETURN_IF_ERROR(
      StopOrphan(options.directory, options.stop_timeout));
  USERPROFILE_ASSIGN_OR_RETURN(
      const Binaries binaries,
      PrepareData(options.directory, account, options.durable));
  USERPROFILE_ASSIGN_OR_RETURN(SocketFolder sockets,
                               MakeSocketFolder(options.directory, account));

  Command command;
  command.words = ServerCommand(options, binaries, sockets.path);
  command.directory = DataFolder(options.directory);
  command.account = account;

  std::unique_ptr<EmbeddedCluster> cluster(
      new EmbeddedCluster(std::move(lock), std::move(sockets)));
  cluster->postmaster_ =
      std::make_unique<Postmaster>(std::move(options), std::move(command));
  USERPROFILE_RETURN_IF_ERROR(cluster->postmaster_->WaitUntilReady());
  USERPROFILE_RETURN_IF_ERROR(cluster->CreateDatabase());
  return cluster;
}

EmbeddedCluster::EmbeddedCluster(std::unique_ptr<base::FileLock> lock,
                                 SocketFolder sockets)
    : lock_(std::move(lock)),
      sockets_(std::move(sockets)),
      conninfo_(ConninfoFor(sockets_.path, kEmbeddedDatabase)) {}

EmbeddedCluster::~EmbeddedCluster() { Stop(); }

pid_t EmbeddedCluster::pid() const {
  return postmaster_ == nullptr ? 0 : postmaster_->pid();
}

void EmbeddedCluster::Stop() {
  postmaster_.reset();
  sockets_.lock.reset();
  lock_.reset();
}

// Not a part of making the data: it needs a server that runs.
absl::Status EmbeddedCluster::CreateDatabase() const {
  ConnectOptions options;
  options.conninfo = ConninfoFor(sockets_.path, "postgres");
  options.statement_timeout = absl::ZeroDuration();
  USERPROFILE_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                               Connect(options));
  USERPROFILE_ASSIGN_OR_RETURN(
      const Rows found, session->ExecuteScript(absl::StrCat(
                            "SELECT 1 FROM pg_database WHERE datname = '",
                            kEmbeddedDatabase, "'")));
  if (!found.empty()) return absl::OkStatus();
  return session
      ->ExecuteScript(absl::StrCat("CREATE DATABASE ", kEmbeddedDatabase))
      .status();
}

}  // namespace userprofile::postgres
