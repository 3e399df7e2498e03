#include "client/adapter/input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "base/replace_file.h"
#include "client/telegram/object_reader.h"

namespace userprofile::adapter {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;

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
  return base::ReplaceFile(file, json.dump() + "\n");
}

}  // namespace userprofile::adapter
