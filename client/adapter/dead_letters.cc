#include "client/adapter/dead_letters.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/adapter/input.h"
#include "client/adapter/update.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

// As many as Telegram gives at once.
constexpr std::size_t kMostAtOnce = 100;

// No update is longer.
constexpr std::size_t kMostBytes = 16 * 1024 * 1024;

std::string Fault(const std::string& file, int error) {
  return absl::StrCat(file, ": ", std::strerror(error));
}

// -1, with errno, if it can't be opened, or is no regular file.
int OpenToAdd(const std::string& file) {
  const int fd = ::open(
      file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0) return -1;
  struct stat status;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
      ::fchmod(fd, 0600) == 0) {
    return fd;
  }
  ::close(fd);
  errno = EINVAL;
  return -1;
}

std::int64_t IdOf(const nlohmann::json& update) {
  return update.at("update_id").get<std::int64_t>();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DeadLetters>> DeadLetters::Open(
    const std::string& file) {
  const int fd = OpenToAdd(file);
  if (fd < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--dead-letter ", Fault(file, errno)));
  }
  ::close(fd);
  return std::unique_ptr<DeadLetters>(new DeadLetters(file));
}

absl::Status DeadLetters::Add(absl::string_view update) {
  const base::MutexLock lock(mutex_);
  const int fd = OpenToAdd(file_);
  if (fd < 0) return absl::UnavailableError(Fault(file_, errno));
  const absl::Cleanup close = [fd] { ::close(fd); };
  std::string line = absl::StrCat(update, "\n");
  // A crash may have left half a line.
  const off_t end = ::lseek(fd, 0, SEEK_END);
  char last = '\n';
  if (end > 0 && ::pread(fd, &last, 1, end - 1) == 1 && last != '\n') {
    line.insert(0, "\n");
  }
  std::size_t written = 0;
  while (written < line.size()) {
    const ssize_t n = ::write(fd, line.data() + written, line.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    written += static_cast<std::size_t>(n);
  }
  if (written == line.size() && ::fdatasync(fd) == 0) return absl::OkStatus();
  absl::Status status = absl::UnavailableError(Fault(file_, errno));
  if (end >= 0) (void)::ftruncate(fd, end);
  return status;
}

absl::StatusOr<std::unique_ptr<DeadLetterSource>> DeadLetterSource::Read(
    const std::string& file, const StopEvent& stop) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::InvalidArgumentError(Fault(file, errno));
  const absl::Cleanup close = [fd] { ::close(fd); };
  auto source = std::make_unique<DeadLetterSource>();
  LineReader reader(fd, stop, kMostBytes);
  while (absl::optional<Line> line = reader.Next()) {
    if (!line->too_long && absl::StripAsciiWhitespace(line->text).empty()) {
      continue;
    }
    nlohmann::json update = ParseJson(line->text);
    if (line->too_long || !ReadUpdate(update, "").outcome.update_id) {
      spdlog::error("{}: line {} is no update", file, line->number);
      ++source->unreadable_;
      continue;
    }
    source->updates_.push_back(std::move(update));
  }
  if (!reader.status().ok()) return reader.status();
  return source;
}

absl::StatusOr<std::vector<nlohmann::json>> DeadLetterSource::GetUpdates(
    absl::optional<std::int64_t> offset, absl::Duration /*timeout*/,
    const StopEvent* /*stop*/) {
  std::size_t end = next_;
  while (end < updates_.size() &&
         (end == next_ || IdOf(updates_[end]) > IdOf(updates_[end - 1]))) {
    ++end;
  }
  while (offset && next_ < end && IdOf(updates_[next_]) < *offset) ++next_;
  const std::size_t last = std::min(end, next_ + kMostAtOnce);
  return std::vector<nlohmann::json>(
      updates_.begin() + static_cast<std::ptrdiff_t>(next_),
      updates_.begin() + static_cast<std::ptrdiff_t>(last));
}

}  // namespace userprofile::adapter
