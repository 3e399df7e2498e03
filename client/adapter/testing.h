#ifndef USERPROFILE_CLIENT_ADAPTER_TESTING_H_
#define USERPROFILE_CLIENT_ADAPTER_TESTING_H_

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/adapter/stdin.h"
#include "userprofile/client/profile_client.h"
#include "userprofile/client/recognition.h"

namespace userprofile::adapter {

// Helps the tests of this folder.

// A file in memory, to be read from its begin.
class InputFile {
 public:
  explicit InputFile(const std::string& content)
      : fd_(::memfd_create("input", MFD_CLOEXEC)) {
    EXPECT_EQ(::write(fd_, content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    EXPECT_EQ(::lseek(fd_, 0, SEEK_SET), 0);
  }
  ~InputFile() { ::close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int fd() const { return fd_; }

 private:
  const int fd_;
};

// A pipe that stays open until the test closes it.
class InputPipe {
 public:
  InputPipe() { EXPECT_EQ(::pipe(fds_), 0); }
  ~InputPipe() {
    CloseWriter();
    ::close(fds_[0]);
  }
  InputPipe(const InputPipe&) = delete;
  InputPipe& operator=(const InputPipe&) = delete;

  int fd() const { return fds_[0]; }
  void Write(const std::string& text) {
    EXPECT_EQ(::write(fds_[1], text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  void CloseWriter() {
    if (fds_[1] >= 0) ::close(fds_[1]);
    fds_[1] = -1;
  }

 private:
  int fds_[2];
};

// A service that answers when the test says so. Calls that wait for something
// give up, and fail the test, after ten seconds.
class HeldService {
 public:
  // To be given to what is tested.
  Recognizer recognizer() {
    return [this](v1::UpsertUserRequest contact,
                  client::Done<client::Recognition> done) {
      std::lock_guard<std::mutex> lock(mutex_);
      calls_.push_back(contact.user_id());
      const bool alone =
          under_way_.try_emplace(contact.user_id(), std::move(done)).second;
      if (!alone) overlapped_ = true;
      changed_.notify_all();
    };
  }

  // Waits until a call for the user is under way, and answers it.
  void Answer(std::int64_t user_id, absl::StatusOr<client::Recognition> answer =
                                        client::Recognition::kReturning) {
    std::unique_lock<std::mutex> lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, kPatience,
                                  [&] { return under_way_.contains(user_id); }))
        << "no call for user " << user_id;
    auto call = under_way_.extract(user_id);
    lock.unlock();
    call.mapped()(std::move(answer));
  }

  // Waits until `count` calls, ever, have begun.
  void AwaitCalls(std::size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, kPatience,
                                  [&] { return calls_.size() >= count; }))
        << calls_.size() << " calls instead of " << count;
  }

  // Of each call that has begun, in order, the user.
  std::vector<std::int64_t> calls() {
    std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
  }

  // Whether two calls of a user were ever under way at once.
  bool overlapped() {
    std::lock_guard<std::mutex> lock(mutex_);
    return overlapped_;
  }

 private:
  static constexpr std::chrono::seconds kPatience{10};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::int64_t> calls_;
  std::map<std::int64_t, client::Done<client::Recognition>> under_way_;
  bool overlapped_ = false;
};

// An update of the Bot API: a message of the user.
inline std::string MessageOf(std::int64_t user_id, std::int64_t update_id) {
  return absl::StrCat(
      R"({"update_id":)", update_id,
      R"(,"message":{"message_id":1,"date":1760860800,"from":{"id":)", user_id,
      R"(,"is_bot":false,"first_name":"Ada"},"chat":{"id":)", user_id,
      R"(,"type":"private"},"text":"x"}})");
}

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_TESTING_H_
