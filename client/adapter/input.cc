#include "client/adapter/input.h"

#include <fcntl.h>
#include <poll.h>
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

constexpr std::size_t kReadSize = 64 * 1024;

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

LineReader::LineReader(int fd, const StopEvent& stop, std::size_t max_length)
    : fd_(fd), stop_(stop), max_length_(max_length) {}

absl::optional<Line> LineReader::Next() {
  if (stop_.IsSet()) status_ = absl::CancelledError("stopped");
  if (!status_.ok()) return absl::nullopt;
  Line line;
  line.number = lines_ + 1;
  bool begun = false;
  while (true) {
    const std::size_t end = buffer_.find('\n', begin_);
    if (end != std::string::npos) {
      Take(line, end - begin_);
      ++begin_;
      break;
    }
    if (begin_ < buffer_.size()) begun = true;
    Take(line, buffer_.size() - begin_);
    if (!Fill()) {
      if (!begun || !status_.ok()) return absl::nullopt;
      break;
    }
  }
  ++lines_;
  return line;
}

// Moves `size` bytes from the buffer to the line.
void LineReader::Take(Line& line, std::size_t size) {
  if (line.text.size() + size > max_length_) {
    line.too_long = true;
    line.text.clear();
  }
  if (!line.too_long) line.text.append(buffer_, begin_, size);
  begin_ += size;
}

// Reads more into the buffer, which is used up; false at the end.
bool LineReader::Fill() {
  buffer_.clear();
  begin_ = 0;
  if (at_end_) return false;
  while (true) {
    pollfd events[] = {{fd_, POLLIN, 0}, {stop_.fd(), POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno != EINTR) break;
    if (events[1].revents != 0) {
      status_ = absl::CancelledError("stopped");
      return false;
    }
    if (events[0].revents == 0) continue;
    buffer_.resize(kReadSize);
    const ssize_t size = ::read(fd_, buffer_.data(), buffer_.size());
    buffer_.resize(size > 0 ? size : 0);
    if (size > 0) return true;
    if (size == 0) {
      at_end_ = true;
      return false;
    }
    if (errno != EINTR && errno != EAGAIN) break;
  }
  status_ = absl::UnavailableError(
      absl::StrCat("the input can't be read: ", std::strerror(errno)));
  return false;
}

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
