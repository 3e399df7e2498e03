#ifndef USERPROFILE_SERVER_APP_SOCKET_PATH_LOCK_H_
#define USERPROFILE_SERVER_APP_SOCKET_PATH_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_lock.h"

namespace userprofile::app {

// Holds the path of a Unix socket for this process, from before it listens
// until after it does: a Listener takes over whatever socket lies at its path,
// that of a server that serves too.
//
// Null for an address without a path in the file system. FAILED_PRECONDITION if
// another process holds the path (by a file, the path with ".lock" behind it),
// or listens there. A socket that nobody listens on is not in the way.
absl::StatusOr<std::unique_ptr<base::FileLock>> LockSocketPath(
    const std::string& address);

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_SOCKET_PATH_LOCK_H_
