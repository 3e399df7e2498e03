#ifndef USERPROFILE_SERVER_APP_SOCKET_PATH_LOCK_H_
#define USERPROFILE_SERVER_APP_SOCKET_PATH_LOCK_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/file_lock.h"

namespace userprofile::app {

// Holds the path of a Unix socket for one process, from before it listens until
// after it does: gRPC takes over whatever socket lies at its path, that of a
// server that serves too, and removes whatever lies there when it ends. A
// locked file, the path with ".lock" behind it, which the kernel frees when the
// process ends, in whatever way.
class SocketPathLock {
 public:
  // Null for an address without a path in the file system. FAILED_PRECONDITION
  // if another process holds the path, or listens there. A socket that nobody
  // listens on is not in the way.
  static absl::StatusOr<std::unique_ptr<SocketPathLock>> Acquire(
      const std::string& address);

  ~SocketPathLock();
  SocketPathLock(const SocketPathLock&) = delete;
  SocketPathLock& operator=(const SocketPathLock&) = delete;

 private:
  SocketPathLock(std::string path, std::unique_ptr<base::FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  const std::string path_;  // of the file
  const std::unique_ptr<base::FileLock> lock_;
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_SOCKET_PATH_LOCK_H_
