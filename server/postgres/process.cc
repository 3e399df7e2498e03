#include "server/postgres/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace userprofile::postgres {
namespace {

constexpr std::size_t kPasswdBuffer = 16384;

// What `look_up`, getpwnam_r or getpwuid_r, finds; nothing of root's.
template <typename Key>
absl::optional<Account> FindAccount(int (*look_up)(Key, passwd*, char*,
                                                   std::size_t, passwd**),
                                    Key key) {
  passwd entry;
  passwd* found = nullptr;
  std::array<char, kPasswdBuffer> buffer;
  look_up(key, &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr || found->pw_uid == 0) return absl::nullopt;
  return Account{found->pw_uid, found->pw_gid, found->pw_name, true};
}

// Of setpriv(1), which is Essential in Debian. Absolute, for our $PATH may be
// anything.
constexpr char kSetpriv[] = "/usr/bin/setpriv";

// What the shell that setpriv becomes does first: $1 is our process, $2 the
// directory, the rest the program. It tells file 3 that it began, and what
// fails; which closes when it becomes the program. Of a parent that ended
// before setpriv asked for the signal, only the shell would know.
constexpr char kBecome[] =
    "printf b >&3; [ $PPID = \"$1\" ] || exit; umask 077; "
    "cd \"$2\" 2>&- || { echo d >&3; exit; }; shift 2; "
    "[ -x \"$1\" ] || { echo p >&3; exit; }; exec \"$@\" 3>&-";
constexpr int kReport = 3;

// Why a program can't be run: `what` says so of the path.
absl::Status Explain(const Command& command, const std::string& path,
                     const char* what) {
  const bool foreign = command.account && command.account->foreign;
  // What we can see, the account may not.
  const int error = access(path.c_str(), F_OK) == 0 ? EACCES : errno;
  return absl::ErrnoToStatus(
      error,
      absl::StrCat(path, " can't be ", what, " by ",
                   foreign ? absl::StrCat("user ", command.account->name,
                                          ", whom PostgreSQL runs as when root "
                                          "starts it (a directory in /var/lib "
                                          "is one that everybody can reach)")
                           : "this user"));
}

// Why setpriv failed, which has said it where the program's errors go.
absl::Status ExplainAccount(const Command& command) {
  if (command.account && command.account->foreign) {
    return absl::ErrnoToStatus(
        EPERM,
        absl::StrCat("can't run a program as user ", command.account->name));
  }
  return absl::InternalError(
      absl::StrCat("can't run ", command.words[0], " by ", kSetpriv));
}

std::vector<std::string> WordsFor(const Command& command) {
  std::vector<std::string> words = {kSetpriv, "--pdeathsig",
                                    command.death_signal};
  if (command.account && command.account->foreign) {
    words.insert(words.end(),
                 {"--reuid", absl::StrCat(command.account->uid), "--regid",
                  absl::StrCat(command.account->gid), "--clear-groups"});
  }
  words.insert(words.end(), {"--", "/bin/sh", "-c", kBecome, "sh",
                             absl::StrCat(getpid()), command.directory});
  words.insert(words.end(), command.words.begin(), command.words.end());
  return words;
}

std::vector<std::string> EnvironmentFor(const Command& command) {
  const char* path = getenv("PATH");
  std::vector<std::string> environment = {
      absl::StrCat("PATH=", path == nullptr ? "/usr/bin:/bin" : path),
      "LC_ALL=C", "TZ=UTC"};
  environment.insert(environment.end(), command.environment.begin(),
                     command.environment.end());
  return environment;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

ssize_t ReadSome(int fd, void* buffer, std::size_t size) {
  ssize_t n;
  do {
    n = read(fd, buffer, size);
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

absl::StatusOr<Account> AccountFor(const std::string& directory) {
  if (geteuid() != 0) return Account{geteuid(), getegid(), "", false};
  // initdb wants the user to have a name.
  for (const std::string& path :
       {absl::StrCat(directory, "/data"), directory}) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0) continue;
    if (auto owner = FindAccount(getpwuid_r, info.st_uid)) return *owner;
  }
  for (const char* name : {"postgres", "nobody"}) {
    if (auto account = FindAccount(getpwnam_r, name)) return *account;
  }
  return absl::FailedPreconditionError(
      "PostgreSQL can't run as root, and there is no user `postgres` or "
      "`nobody` to run it as: create the user `postgres`");
}

absl::Status MakeFolder(const std::string& path, mode_t mode,
                        const Account& account) {
  if (mkdir(path.c_str(), mode) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't create ", path));
  }
  if (account.foreign && lchown(path.c_str(), account.uid, account.gid) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("can't give ", path, " to ", account.name));
  }
  return absl::OkStatus();
}

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

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const absl::Cleanup destroy_files = [&] {
    posix_spawn_file_actions_destroy(&files);
  };
  const auto attach = [&](int from, int to) {
    if (from >= 0) {
      posix_spawn_file_actions_adddup2(&files, from, to);
    } else {
      posix_spawn_file_actions_addopen(&files, to, "/dev/null", O_RDWR, 0);
    }
  };
  attach(command.input, STDIN_FILENO);
  attach(command.output, STDOUT_FILENO);
  attach(command.errors >= 0 ? command.errors : STDOUT_FILENO, STDERR_FILENO);
  attach(report[1], kReport);
  posix_spawn_file_actions_addclosefrom_np(&files, kReport + 1);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  const absl::Cleanup destroy_attributes = [&] {
    posix_spawnattr_destroy(&attributes);
  };
  sigset_t signals;
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  // All of them: those that sigfillset() leaves to glibc would be ignored.
  std::memset(&signals, 0xff, sizeof signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID |
                                            POSIX_SPAWN_SETSIGMASK |
                                            POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> words = WordsFor(command);
  std::vector<std::string> environment = EnvironmentFor(command);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, words[0].c_str(), &files, &attributes,
                  Pointers(words).data(), Pointers(environment).data());
  close(report[1]);
  if (error != 0) {
    return absl::ErrnoToStatus(error, absl::StrCat("can't run ", words[0]));
  }
  char failure = 0;
  const bool began = ReadSome(report[0], &failure, 1) > 0;
  if (began && ReadSome(report[0], &failure, 1) <= 0) return pid;
  WaitForEnd(pid);
  if (!began) return ExplainAccount(command);
  return failure == 'd' ? Explain(command, command.directory, "entered")
                        : Explain(command, command.words[0], "run");
}

ProcessGuard::ProcessGuard(pid_t pid, StillWanted wanted)
    : process_(OpenProcess(pid)),
      wanted_(std::move(wanted)),
      thread_([this, pid]() -> absl::Duration {
        if (HasEnded(process_, absl::Seconds(1))) {
          return absl::InfiniteDuration();
        }
        unwanted_ = wanted_();
        if (unwanted_.ok()) return absl::ZeroDuration();
        if (process_ >= 0) {
          SendSignal(process_, SIGKILL);
        } else {
          kill(pid, SIGKILL);  // old kernels and sandboxes
        }
        return absl::InfiniteDuration();
      }) {}

ProcessGuard::~ProcessGuard() {
  thread_.Stop();
  close(process_);
}

absl::Status ProcessGuard::Stop() {
  thread_.Stop();
  return unwanted_;
}

absl::StatusOr<Outcome> RunToEnd(Command command, StillWanted wanted) {
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
  absl::optional<ProcessGuard> guard;
  if (wanted != nullptr) guard.emplace(*pid, std::move(wanted));

  Outcome outcome;
  std::array<char, 4096> buffer;
  ssize_t n;
  while ((n = ReadSome(output[0], buffer.data(), buffer.size())) > 0) {
    outcome.output.append(buffer.data(), static_cast<std::size_t>(n));
  }
  outcome.exit_code = WaitForEnd(*pid);
  if (guard) USERPROFILE_RETURN_IF_ERROR(guard->Stop());
  return outcome;
}

}  // namespace userprofile::postgres
