#include "server/base/read_file.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace userprofile::base {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  constexpr std::size_t kMost = 1024 * 1024;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string content(kMost + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.is_open() || file.bad()) {
    return absl::InvalidArgumentError(
        absl::StrCat("can't read ", path, ": ",
                     errno == 0 ? "it is no file" : std::strerror(errno)));
  }
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (content.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
  }
  if (content.size() > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is larger than 1 MiB"));
  }
  return content;
}

}  // namespace userprofile::base
