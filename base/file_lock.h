#ifndef USERPROFILE_BASE_FILE_LOCK_H_
#define USERPROFILE_BASE_FILE_LOCK_H_

#include <sys/types.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace userprofile::base {

// Opens a file that a folder of ours keeps, to read and write, with the `flags`
// of open(2) besides; makes it, for us alone, if it is missing. Never what
// somebody else may have put there: FAILED_PRECONDITION for a link, also a hard
// one, for what is no regular file, and for a file of another user than us, the
// folder's owner, or `account`, to whom we may have given it.
absl::StatusOr<int> OpenOwnFile(const std::string& path, int flags = 0,
                                uid_t account = geteuid());

// A file or a folder that this process alone holds. The kernel frees it when
// the process ends, in whatever way; programs that it started do not hold it.
class FileLock {
 public:
  // Locks what is open as `fd`, which is the lock's to close from now on, also
  // if there is none. UNAVAILABLE if another one holds it for longer than
  // `patience`; NOT_FOUND if it was removed, so that its name may mean another.
  static absl::StatusOr<std::unique_ptr<FileLock>> Take(
      int fd, absl::Duration patience = absl::ZeroDuration());

  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // What to do at the end, while it is still held.
  void OnRelease(std::function<void()> tidy) { tidy_ = std::move(tidy); }

 private:
  explicit FileLock(int fd) : fd_(fd) {}

  const int fd_;
  std::function<void()> tidy_;
};

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_FILE_LOCK_H_
