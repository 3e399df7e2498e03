#include "server/app/socket_path_lock.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace userprofile::app {
namespace {

absl::Status InUse(absl::string_view address) {
  return absl::FailedPreconditionError(absl::StrCat(
      "can't listen on ", address, ": another process serves there"));
}

// Whether somebody would answer there, now or later.
bool SomebodyListens(absl::string_view path) {
  sockaddr_un address = {};
  if (path.size() >= sizeof(address.sun_path)) return false;  // nor will we
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const bool answered = connect(fd, reinterpret_cast<const sockaddr*>(&address),
                                sizeof(address)) == 0 ||
                        errno == EAGAIN || errno == EPROTOTYPE;
  close(fd);
  return answered;
}

}  // namespace

absl::StatusOr<std::unique_ptr<base::FileLock>> LockSocketPath(
    const std::string& address) {
  absl::string_view path = address;
  if (!absl::ConsumePrefix(&path, "unix:")) return nullptr;
  absl::ConsumePrefix(&path, "//");
  const std::string file = absl::StrCat(path, ".lock");
  while (true) {
    USERPROFILE_ASSIGN_OR_RETURN(const int fd, base::OpenOwnFile(file));
    auto lock = base::FileLock::Take(fd);
    if (absl::IsNotFound(lock.status())) continue;  // by one that just ended
    if (!lock.ok()) return InUse(address);
    (*lock)->OnRelease([file] { unlink(file.c_str()); });
    if (SomebodyListens(path)) return InUse(address);
    return lock;
  }
}

}  // namespace userprofile::app
