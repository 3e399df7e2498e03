#include "client/adapter/dead_letters.h"

#include <fcntl.h>
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

namespace userprofile::adapter {
namespace {

// As many as Telegram gives at once.
constexpr std::size_t kMostAtOnce = 100;

// No update is longer.
constexpr std::size_t kMostBytes = 16 * 1024 * 1024;

std::string Fault(const std::string& file, int error) {
  return absl::StrCat(file, ": ", std::strerror(error));
}

std::int64_t IdOf(const nlohmann::json& update) {
  return update.at("update_id").get<std::int64_t>();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DeadLetters>> DeadLetters::Open(
    const std::string& file) {
  const int fd =
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--dead-letter ", Fault(file, errno)));
  }
  return std::unique_ptr<DeadLetters>(new DeadLetters(fd, file));
}

DeadLetters::~DeadLetters() { ::close(fd_); }

absl::Status DeadLetters::Add(absl::string_view update) {
  const std::string line = absl::StrCat(update, "\n");
  const base::MutexLock lock(mutex_);
  const off_t end = ::lseek(fd_, 0, SEEK_END);
  std::size_t written = 0;
  while (written < line.size()) {
    const ssize_t n =
        ::write(fd_, line.data() + written, line.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    written += static_cast<std::size_t>(n);
  }
  if (written == line.size() && ::fdatasync(fd_) == 0) return absl::OkStatus();
  absl::Status status = absl::UnavailableError(Fault(file_, errno));
  // Not to begin the next one in the middle of a line.
  if (end >= 0) (void)::ftruncate(fd_, end);
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
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": line ", line->number, " is no update"));
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
