#include "client/adapter/testing.h"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace userprofile::adapter {
namespace {

constexpr std::chrono::seconds kPatience(10);

}  // namespace

InputFile::InputFile(const std::string& content)
    : fd_(::memfd_create("input", MFD_CLOEXEC)) {
  EXPECT_EQ(::write(fd_, content.data(), content.size()),
            static_cast<ssize_t>(content.size()));
  EXPECT_EQ(::lseek(fd_, 0, SEEK_SET), 0);
}

InputFile::~InputFile() { ::close(fd_); }

InputPipe::InputPipe() { EXPECT_EQ(::pipe(fds_), 0); }

InputPipe::~InputPipe() {
  CloseWriter();
  ::close(fds_[0]);
}

void InputPipe::Write(const std::string& text) {
  EXPECT_EQ(::write(fds_[1], text.data(), text.size()),
            static_cast<ssize_t>(text.size()));
}

void InputPipe::CloseWriter() {
  if (fds_[1] >= 0) ::close(fds_[1]);
  fds_[1] = -1;
}

Recognizer HeldService::recognizer() {
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

void HeldService::Answer(std::int64_t user_id,
                         absl::StatusOr<client::Recognition> answer) {
  std::unique_lock<std::mutex> lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kPatience,
                                [&] { return under_way_.contains(user_id); }))
      << "no call for user " << user_id;
  auto call = under_way_.extract(user_id);
  lock.unlock();
  call.mapped()(std::move(answer));
}

void HeldService::AwaitCalls(std::size_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  ASSERT_TRUE(changed_.wait_for(lock, kPatience,
                                [&] { return calls_.size() >= count; }))
      << calls_.size() << " calls instead of " << count;
}

std::vector<std::int64_t> HeldService::calls() {
  std::lock_guard<std::mutex> lock(mutex_);
  return calls_;
}

bool HeldService::overlapped() {
  std::lock_guard<std::mutex> lock(mutex_);
  return overlapped_;
}

std::string MessageOf(std::int64_t user_id, std::int64_t update_id) {
  return absl::StrCat(
      R"({"update_id":)", update_id,
      R"(,"message":{"message_id":1,"date":1760860800,"from":{"id":)", user_id,
      R"(,"is_bot":false,"first_name":"Ada"},"chat":{"id":)", user_id,
      R"(,"type":"private"},"text":"x"}})");
}

}  // namespace userprofile::adapter
