#ifndef USERPROFILE_SERVER_POSTGRES_DIRECTORY_LOCK_H_
#define USERPROFILE_SERVER_POSTGRES_DIRECTORY_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace userprofile::postgres {

// Holds a directory for one server: a locked file `lock` in it, with our
// process id for people to read. The kernel frees it when this process ends, in
// whatever way, and programs that it started do not hold it.
class DirectoryLock {
 public:
  // FAILED_PRECONDITION if another one holds the directory.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Acquire(
      const std::string& directory);

  // Whether a server holds the directory now.
  static bool IsHeld(const std::string& directory);

  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_DIRECTORY_LOCK_H_
