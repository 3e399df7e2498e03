#ifndef USERPROFILE_SERVER_POSTGRES_DIRECTORY_LOCK_H_
#define USERPROFILE_SERVER_POSTGRES_DIRECTORY_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace userprofile::postgres {

// Who holds a directory.
enum class DirectoryHolder {
  kNobody,
  kServer,   // for as long as it serves
  kCommand,  // until it is done: worth waiting for
};

// Holds a directory for one process: a locked file `lock` in it, with our
// process id for people to read. The kernel frees it when this process ends, in
// whatever way, and programs that it started do not hold it.
class DirectoryLock {
 public:
  // FAILED_PRECONDITION if another one holds the directory.
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Acquire(
      const std::string& directory,
      DirectoryHolder as = DirectoryHolder::kServer);

  // Who holds the directory now.
  static DirectoryHolder HolderOf(const std::string& directory);

  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}

  const int fd_;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_DIRECTORY_LOCK_H_
