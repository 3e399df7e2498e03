#ifndef USERPROFILE_CLIENT_ADAPTER_DEAD_LETTERS_H_
#define USERPROFILE_CLIENT_ADAPTER_DEAD_LETTERS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "client/adapter/poller.h"

namespace userprofile::adapter {

// Updates that were passed over, in a file: each a line, as it would have been
// brought to the bot. It holds what users wrote, and is its owner's alone.
// Thread-safe.
class DeadLetters {
 public:
  // Makes the file, if it is not there. INVALID_ARGUMENT, with a sentence, if
  // that can't be, or it is no regular file.
  static absl::StatusOr<std::unique_ptr<DeadLetters>> Open(
      const std::string& file);

  // On disk once it returns OK, in the file that has the name by then: it may
  // be moved away at any time. UNAVAILABLE if it can't be written.
  absl::Status Add(absl::string_view update);

 private:
  explicit DeadLetters(std::string file) : file_(std::move(file)) {}

  const std::string file_;
  base::Mutex mutex_;
};

// The updates of such a file, in its order: as Telegram would give them, those
// whose ids ascend together.
class DeadLetterSource final : public UpdateSource {
 public:
  // INVALID_ARGUMENT, with a sentence, if the file can't be read. What is no
  // update, as half a line that a crash left, is logged and passed by.
  static absl::StatusOr<std::unique_ptr<DeadLetterSource>> Read(
      const std::string& file, const StopEvent& stop);

  absl::StatusOr<std::vector<nlohmann::json>> GetUpdates(
      absl::optional<std::int64_t> offset, absl::Duration timeout,
      const StopEvent* stop) override;
  bool ended() const override { return next_ == updates_.size(); }
  bool keeps() const override { return true; }

  std::size_t size() const { return updates_.size(); }
  std::int64_t unreadable() const { return unreadable_; }

 private:
  std::vector<nlohmann::json> updates_;
  std::size_t next_ = 0;  // that is not confirmed
  std::int64_t unreadable_ = 0;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_DEAD_LETTERS_H_
