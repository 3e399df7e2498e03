#include "server/postgres/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/error_info.h"
#include "base/read_file.h"
#include "base/status_macros.h"

namespace userprofile::postgres {
namespace {

// For whoever only looks (HolderOf) is gone at once.
constexpr absl::Duration kLockPatience = absl::Milliseconds(200);
// Behind the process id of a command.
constexpr char kCommandMark[] = " command";

// What the path of every socket folder holds.
constexpr char kSocketFolderMark[] = "/userprofile-";
constexpr char kTemporary[] = "/tmp";
constexpr int kNames = 10;
// What can follow the usual name of a folder in the path of its socket.
constexpr char kLongestRest[] = "-01234567/.s.PGSQL.5432";

std::string LockFile(const std::string& directory) {
  return absl::StrCat(directory, "/lock");
}

// What the lock's file says of its holder.
std::string ReadHolder(const std::string& directory) {
  return std::string(absl::StripAsciiWhitespace(
      base::ReadFile(LockFile(directory)).value_or("")));
}

// Empty if there is no such file.
std::string ReadIfThere(const std::string& path) {
  return base::ReadFile(path).value_or("");
}

std::vector<std::string> PidFileLines(const std::string& directory) {
  return absl::StrSplit(
      ReadIfThere(absl::StrCat(DataFolder(directory), "/postmaster.pid")),
      '\n');
}

// Puts the names in a directory on disk.
absl::Status Sync(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const absl::Cleanup close_it = [&] { close(fd); };
  if (fd < 0 || fsync(fd) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't sync ", directory));
  }
  return absl::OkStatus();
}

absl::Status RunInitdb(const Binaries& binaries, const std::string& folder,
                       const Account& account, bool durable) {
  Command command;
  command.words = {absl::StrCat(binaries.folder, "/initdb"),
                   absl::StrCat("--pgdata=", folder),
                   absl::StrCat("--username=", kEmbeddedUser),
                   "--encoding=UTF8",
                   "--locale=C",
                   "--auth-local=trust",
                   "--auth-host=reject"};
  if (!durable) command.words.push_back("--no-sync");
  command.account = account;
  command.directory = folder;
  USERPROFILE_ASSIGN_OR_RETURN(const Outcome outcome,
                               RunToEnd(std::move(command)));
  if (outcome.exit_code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("initdb failed: ", outcome.output));
}

// Whether the mark that a PostgreSQL leaves while it runs may be one of ours,
// by the folder of its socket.
bool MayBeOurs(const std::string& directory) {
  const std::string folder = SocketFolderOf(directory);
  return folder.empty() || absl::StrContains(folder, kSocketFolderMark);
}

// Whether the process is a PostgreSQL that was started on this folder. By its
// command line, which all may read: a container's root may not look further.
bool IsPostgresOf(pid_t pid, const std::string& data_folder) {
  const std::string command_line =
      ReadIfThere(absl::StrCat("/proc/", pid, "/cmdline"));
  const std::vector<absl::string_view> words =
      absl::StrSplit(command_line, '\0');
  return words.size() > 2 && absl::EndsWith(words[0], "/postgres") &&
         words[1] == "-D" && words[2] == data_folder;
}

// A handle on the PostgreSQL that runs on the folder; -1 if none does. Unlike a
// process id, it can't come to mean another process.
int OpenOrphan(const std::string& directory) {
  int pid = 0;
  if (!absl::SimpleAtoi(PidFileLines(directory)[0], &pid) || pid <= 1) {
    return -1;
  }
  const int fd = OpenProcess(pid);
  if (fd >= 0 && IsPostgresOf(pid, DataFolder(directory))) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

// Whether nobody but the account and root can have a hand in it.
bool IsPrivate(const struct stat& info, const Account& account) {
  return S_ISDIR(info.st_mode) && info.st_uid == account.uid &&
         (info.st_mode & 077) == 0;
}

// Where the account's socket folder of this name (with a slash) can be.
std::string PlaceFor(const Account& account, const std::string& name) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  for (std::string place : {std::string(runtime == nullptr ? "" : runtime),
                            std::string("/run/userprofile")}) {
    struct stat info;
    if (absl::StartsWith(place, "/") &&
        place.size() + name.size() + sizeof(kLongestRest) <=
            sizeof(sockaddr_un::sun_path) &&
        lstat(place.c_str(), &info) == 0 && IsPrivate(info, account)) {
      return place;
    }
  }
  return kTemporary;
}

// Holds a folder that nobody uses; null if it is not the account's alone, or in
// use, or gone.
std::unique_ptr<base::FileLock> Take(const std::string& path,
                                     const Account& account) {
  const int fd =
      open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  auto lock = base::FileLock::Take(fd);
  struct stat info;
  if (!lock.ok() || fstat(fd, &info) != 0 || !IsPrivate(info, account)) {
    return nullptr;
  }
  return *std::move(lock);
}

// Removes a folder that is held.
void Remove(const std::string& path) {
  for (const std::string& name : base::ListFolder(path)) {
    unlink(absl::StrCat(path, "/", name).c_str());
  }
  rmdir(path.c_str());
}

}  // namespace

absl::StatusOr<std::unique_ptr<base::FileLock>> HoldDirectory(
    const std::string& directory, DirectoryHolder as) {
  const std::string path = LockFile(directory);
  USERPROFILE_ASSIGN_OR_RETURN(const int fd, base::OpenOwnFile(path));
  auto lock = base::FileLock::Take(fd, kLockPatience);
  if (absl::IsUnavailable(lock.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is in use by another userprofile server",
                     " (process ", ReadHolder(directory), ")"));
  }
  if (!lock.ok())
    return base::Annotate(lock.status(), absl::StrCat(path, ": "));
  const std::string pid = absl::StrCat(
      getpid(), as == DirectoryHolder::kCommand ? kCommandMark : "", "\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't write ", path));
  }
  return lock;
}

DirectoryHolder HolderOf(const std::string& directory) {
  const int fd = open(LockFile(directory).c_str(),
                      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  // Shared, and let go at once: see HoldDirectory.
  const bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  const absl::Cleanup close_it = [&] { close(fd); };
  if (!held) return DirectoryHolder::kNobody;
  return absl::EndsWith(ReadHolder(directory), kCommandMark)
             ? DirectoryHolder::kCommand
             : DirectoryHolder::kServer;
}

std::string DataFolder(const std::string& directory) {
  return absl::StrCat(directory, "/data");
}

absl::StatusOr<Binaries> PrepareData(const std::string& directory,
                                     const Account& account, bool durable) {
  const std::string folder = DataFolder(directory);
  if (std::error_code error; std::filesystem::exists(folder, error)) {
    int version = 0;
    const std::string text = ReadIfThere(absl::StrCat(folder, "/PG_VERSION"));
    if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &version)) {
      return absl::FailedPreconditionError(
          absl::StrCat(folder,
                       " holds no PostgreSQL database that can be read: choose "
                       "another directory, or move it away"));
    }
    absl::StatusOr<Binaries> binaries = FindBinaries(version);
    if (binaries.ok()) return binaries;
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " holds data of PostgreSQL ", version, ", but ",
                     binaries.status().message()));
  }

  USERPROFILE_ASSIGN_OR_RETURN(Binaries binaries, FindBinaries(absl::nullopt));
  // What a killed initdb leaves behind is of no use to anybody.
  const std::string fresh = absl::StrCat(folder, ".new");
  std::error_code error;
  std::filesystem::remove_all(fresh, error);
  USERPROFILE_RETURN_IF_ERROR(MakeFolder(fresh, 0700, account));
  USERPROFILE_RETURN_IF_ERROR(RunInitdb(binaries, fresh, account, durable));
  std::filesystem::rename(fresh, folder, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("can't rename ", fresh));
  }
  if (durable) USERPROFILE_RETURN_IF_ERROR(Sync(directory));
  return binaries;
}

absl::Status StopOrphan(const std::string& directory, absl::Duration timeout) {
  if (!MayBeOurs(directory)) {
    return absl::FailedPreconditionError(absl::StrCat(
        DataFolder(directory),
        " is, or was, in use by a PostgreSQL that is not the service's own: "
        "choose another directory"));
  }
  const int orphan = OpenOrphan(directory);
  if (orphan >= 0) {
    const absl::Cleanup close_it = [&] { close(orphan); };
    // It was told to stop when its parent died. Ask again, then insist.
    SendSignal(orphan, SIGINT);
    if (!HasEnded(orphan, timeout / 2)) {
      SendSignal(orphan, SIGQUIT);
      if (!HasEnded(orphan, timeout / 2)) {
        return absl::DeadlineExceededError(absl::StrCat(
            "a PostgreSQL that was left running in ", directory,
            " does not end (process ", PidFileLines(directory)[0], ")"));
      }
    }
  }
  // PostgreSQL would refuse to start if another process, of any kind, now has
  // the number that is in there. That nothing uses the data any more, it also
  // sees by its shared memory.
  unlink(absl::StrCat(DataFolder(directory), "/postmaster.pid").c_str());
  return absl::OkStatus();
}

// https://doxygen.postgresql.org/pidfile_8h.html: the process id is the first
// line, the socket's folder the fifth, and what the process is up to the
// eighth.
std::string StatusOf(const std::string& directory, pid_t postmaster) {
  const std::vector<std::string> lines = PidFileLines(directory);
  if (lines.size() < 8 || lines[0] != absl::StrCat(postmaster)) return "";
  return std::string(absl::StripAsciiWhitespace(lines[7]));
}

std::string SocketFolderOf(const std::string& directory) {
  const std::vector<std::string> lines = PidFileLines(directory);
  return lines.size() < 5 ? "" : lines[4];
}

absl::StatusOr<SocketFolder> MakeSocketFolder(const std::string& directory,
                                              const Account& account) {
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't find ", directory));
  }
  const std::string start =
      absl::StrCat(kSocketFolderMark, "pg-", account.uid, "-");
  // Device and inode name a directory, however its path is spelled.
  const std::string name = absl::StrFormat(
      "%s%x-%x", start, std::uint64_t{info.st_dev}, std::uint64_t{info.st_ino});
  const std::string place = PlaceFor(account, name);
  for (const std::string& found : base::ListFolder(place)) {
    if (!absl::StartsWith(absl::StrCat("/", found), start)) continue;
    const std::string stale = absl::StrCat(place, "/", found);
    if (const auto held = Take(stale, account)) Remove(stale);
  }
  const std::string usual = absl::StrCat(place == "/" ? "" : place, name);
  absl::BitGen random;
  std::string path = usual;
  for (int i = 0; i < kNames; ++i) {
    absl::Status made = MakeFolder(path, 0700, account);
    if (auto lock = made.ok() ? Take(path, account) : nullptr) {
      lock->OnRelease([path] { Remove(path); });
      return SocketFolder{std::move(path), std::move(lock)};
    }
    if (absl::IsAlreadyExists(made)) {
      path = absl::StrFormat("%s-%08x", usual,
                             absl::Uniform<std::uint32_t>(random));
    } else if (!made.ok()) {
      return made;
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      usual, ", the place for this database's socket, is somebody else's"));
}

}  // namespace userprofile::postgres
