#include "server/postgres/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/account.h"

namespace userprofile::postgres {
namespace {

constexpr absl::Duration kPatience = absl::Milliseconds(200);
// Behind the process id of a command.
constexpr char kCommandMark[] = " command";

constexpr absl::Duration kRetryInterval = absl::Milliseconds(10);

// Returns an errno. Patient, for whoever only looks (HolderOf) is gone at once.
int Lock(int fd) {
  const base::SteadyTime deadline = base::SteadyTime::Now() + kPatience;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK || base::SteadyTime::Now() > deadline)
      return error;
    absl::SleepFor(kRetryInterval);
  }
  return 0;
}

std::string Read(int fd) {
  std::array<char, 64> buffer;
  const ssize_t n = pread(fd, buffer.data(), buffer.size(), 0);
  const absl::string_view text(buffer.data(),
                               n > 0 ? static_cast<std::size_t>(n) : 0);
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DirectoryLock>> DirectoryLock::Acquire(
    const std::string& directory, DirectoryHolder as) {
  const std::string path = absl::StrCat(directory, "/lock");
  USERPROFILE_ASSIGN_OR_RETURN(const int fd, OpenOwnFile(path));
  if (const int error = Lock(fd); error != 0) {
    const std::string holder = Read(fd);
    close(fd);
    if (error != EWOULDBLOCK) {
      return absl::ErrnoToStatus(error, absl::StrCat("can't lock ", path));
    }
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is in use by another userprofile server",
                     " (process ", holder, ")"));
  }
  const std::string pid = absl::StrCat(
      getpid(), as == DirectoryHolder::kCommand ? kCommandMark : "", "\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    const int error = errno;
    close(fd);
    return absl::ErrnoToStatus(error, absl::StrCat("can't write ", path));
  }
  return std::unique_ptr<DirectoryLock>(new DirectoryLock(fd));
}

DirectoryHolder DirectoryLock::HolderOf(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/lock");
  const int fd =
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return DirectoryHolder::kNobody;
  // Shared, and let go at once: see Acquire.
  const bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  const std::string holder = held ? Read(fd) : "";
  close(fd);
  if (!held) return DirectoryHolder::kNobody;
  return absl::EndsWith(holder, kCommandMark) ? DirectoryHolder::kCommand
                                              : DirectoryHolder::kServer;
}

DirectoryLock::~DirectoryLock() {
  // A process that is just being started may share the file for an instant.
  flock(fd_, LOCK_UN);
  close(fd_);
}

}  // namespace userprofile::postgres
