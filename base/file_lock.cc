#include "base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"

namespace userprofile::base {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(10);

}  // namespace

absl::StatusOr<int> OpenOwnFile(const std::string& path, int flags,
                                uid_t account) {
  // A FIFO must not hold us up.
  const int fd = open(
      path.c_str(),
      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
  if (fd < 0 && errno != ELOOP) {
    return absl::ErrnoToStatus(errno, absl::StrCat("can't open ", path));
  }
  const std::size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  struct stat file;
  struct stat parent;
  // One that was removed meanwhile has no name at all.
  if (fstat(fd, &file) == 0 && stat(folder.c_str(), &parent) == 0 &&
      S_ISREG(file.st_mode) && file.st_nlink <= 1 &&
      (file.st_uid == geteuid() || file.st_uid == parent.st_uid ||
       file.st_uid == account)) {
    return fd;
  }
  close(fd);
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is a link, or not a file of its own: remove it"));
}

absl::StatusOr<std::unique_ptr<FileLock>> FileLock::Take(
    int fd, absl::Duration patience) {
  std::unique_ptr<FileLock> lock(new FileLock(fd));
  const SteadyTime deadline = SteadyTime::Now() + patience;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK || SteadyTime::Now() >= deadline) {
      return absl::ErrnoToStatus(error, "can't lock it");
    }
    absl::SleepFor(kPollInterval);
  }
  struct stat info;
  if (fstat(fd, &info) == 0 && info.st_nlink > 0) return lock;
  return absl::ErrnoToStatus(ENOENT, "it was removed");
}

FileLock::~FileLock() {
  if (tidy_) tidy_();
  // A process that is just being started may share it for an instant.
  flock(fd_, LOCK_UN);
  close(fd_);
}

}  // namespace userprofile::base
