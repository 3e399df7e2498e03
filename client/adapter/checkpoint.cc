#include "client/adapter/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "client/telegram/object_reader.h"

namespace userprofile::adapter {
namespace {

absl::Status Failed(const std::string& what, const std::string& file) {
  return absl::FailedPreconditionError(
      absl::StrCat("can't ", what, " ", file, ": ", std::strerror(errno)));
}

// Writes and closes; errno says why not.
bool WriteToDisk(int fd, const std::string& text) {
  const bool written = ::write(fd, text.data(), text.size()) ==
                           static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const int error = errno;
  const bool closed = ::close(fd) == 0;
  if (!written) errno = error;
  return written && closed;
}

}  // namespace

absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& file) {
  const absl::StatusOr<std::string> text = base::ReadFile(file);
  if (absl::IsNotFound(text.status())) return Checkpoint();
  if (!text.ok()) return text.status();
  const auto json =
      nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  absl::Status error;
  if (json.is_object()) {
    const telegram::ObjectReader reader(json, "", error);
    const auto line = reader.Integer("line");
    const auto update_id = reader.Integer("update_id");
    if (error.ok() && line && *line >= 0) return Checkpoint{*line, update_id};
  }
  return absl::FailedPreconditionError(
      absl::StrCat(file, " is no checkpoint of this program"));
}

absl::Status SaveCheckpoint(const std::string& file,
                            const Checkpoint& checkpoint) {
  nlohmann::ordered_json json = {{"line", checkpoint.line},
                                 {"update_id", nullptr}};
  if (checkpoint.update_id) json["update_id"] = *checkpoint.update_id;
  const std::string part = absl::StrCat(file, ".part");
  // One that a stranger has put there, or left by a kill, is not written to.
  ::unlink(part.c_str());
  const int fd = ::open(
      part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return Failed("write", part);
  if (!WriteToDisk(fd, json.dump() + "\n") ||
      ::rename(part.c_str(), file.c_str()) != 0) {
    absl::Status failed = Failed("write", part);
    ::unlink(part.c_str());
    return failed;
  }
  // So that the new name is on disk, too.
  const std::size_t slash = file.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : file.substr(0, slash + 1);
  const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (folder_fd < 0) return Failed("open", folder);
  const int synced = ::fsync(folder_fd);
  ::close(folder_fd);
  return synced == 0 ? absl::OkStatus() : Failed("write", folder);
}

}  // namespace userprofile::adapter
