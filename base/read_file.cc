#include "base/read_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace userprofile::base {
namespace {

constexpr std::size_t kMost = 1024 * 1024;

absl::Status CantRead(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("can't read ", path, ": ", why));
}

// Reads to the end, or one byte over the limit.
absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return CantRead(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) {
    return CantRead(path, S_ISDIR(status.st_mode) ? "it is a directory"
                                                  : "it is no regular file");
  }
  std::string content;
  char buffer[16384];
  while (content.size() <= kMost) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return CantRead(path, std::strerror(errno));
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
  return CantRead(path, "it is larger than 1 MiB");
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  // Opening a FIFO would wait for somebody who writes into it.
  const int fd =
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOENT) {
      return absl::NotFoundError(
          absl::StrCat("can't read ", path, ": ", std::strerror(error)));
    }
    return CantRead(path, std::strerror(error));
  }
  absl::StatusOr<std::string> content = ReadAll(fd, path);
  ::close(fd);
  return content;
}

absl::StatusOr<std::string> ReadSettingsFile(const std::string& path) {
  absl::StatusOr<std::string> content = ReadFile(path);
  if (absl::IsNotFound(content.status())) {
    return absl::InvalidArgumentError(content.status().message());
  }
  if (content.ok() && content->empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
  }
  return content;
}

absl::StatusOr<std::string> ReadValueFile(const std::string& path) {
  absl::StatusOr<std::string> value = ReadSettingsFile(path);
  if (!value.ok()) return value;
  absl::StripAsciiWhitespace(&*value);
  if (value->empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
  }
  return value;
}

std::vector<std::string> ListFolder(const std::string& path) {
  std::vector<std::string> names;
  DIR* const folder = ::opendir(path.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = ::readdir(folder)) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(folder);
  return names;
}

}  // namespace userprofile::base
