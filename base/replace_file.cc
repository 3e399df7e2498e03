#include "base/replace_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace userprofile::base {
namespace {

absl::Status Failed(const std::string& what, const std::string& file) {
  return absl::FailedPreconditionError(
      absl::StrCat("can't ", what, " ", file, ": ", std::strerror(errno)));
}

bool WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(fd) == 0;
}

// Writes and closes; errno says why not.
bool WriteToDisk(int fd, absl::string_view text) {
  const bool written = WriteAll(fd, text);
  const int error = errno;
  const bool closed = ::close(fd) == 0;
  if (!written) errno = error;
  return written && closed;
}

}  // namespace

absl::Status ReplaceFile(const std::string& path, absl::string_view text,
                         mode_t mode) {
  const std::string part = absl::StrCat(path, ".part");
  // One that a stranger has put there, or left by a kill, is not written to.
  ::unlink(part.c_str());
  const int fd = ::open(
      part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return Failed("write", part);
  if (!WriteToDisk(fd, text) || ::rename(part.c_str(), path.c_str()) != 0) {
    absl::Status failed = Failed("write", part);
    ::unlink(part.c_str());
    return failed;
  }
  // So that the new name is on disk, too.
  const std::size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (folder_fd < 0) return Failed("open", folder);
  const int synced = ::fsync(folder_fd);
  ::close(folder_fd);
  return synced == 0 ? absl::OkStatus() : Failed("write", folder);
}

}  // namespace userprofile::base
