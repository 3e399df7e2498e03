#include "ops/http_stream.h"

#include <microhttpd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/status/status.h"

namespace userprofile::ops {
namespace {

using base::MutexLock;

// Of each body, between the threads.
constexpr std::size_t kBuffer = 64 * 1024;

// What the library asks for at once.
constexpr std::size_t kBlock = 32 * 1024;

}  // namespace

absl::StatusOr<std::string> HttpStream::Read() {
  const MutexLock lock(mutex_);
  while (in_.empty() && !in_ended_ && connection_ != nullptr) {
    changed_.Wait(mutex_);
  }
  if (connection_ == nullptr) return absl::AbortedError("the client is gone");
  std::string part;
  part.swap(in_);
  if (!in_ended_) Resume();
  return part;
}

void HttpStream::Begin(HttpResponse head, absl::optional<std::uint64_t> size) {
  const MutexLock lock(mutex_);
  head_ = std::move(head);
  size_ = size;
  begun_ = true;
  in_.clear();
  Resume();
}

bool HttpStream::Write(absl::string_view bytes) {
  const MutexLock lock(mutex_);
  while (out_.size() - out_taken_ >= kBuffer && connection_ != nullptr) {
    changed_.Wait(mutex_);
  }
  if (connection_ == nullptr) return false;
  out_.erase(0, out_taken_);
  out_taken_ = 0;
  out_.append(bytes.data(), bytes.size());
  Resume();
  return true;
}

void HttpStream::BreakOff() {
  const MutexLock lock(mutex_);
  broken_off_ = true;
}

void HttpStream::End() {
  const MutexLock lock(mutex_);
  if (!begun_) {
    head_.status = 500;
    size_ = 0;
  }
  begun_ = out_ended_ = true;
  Resume();
}

void HttpStream::Receive(const char* data, std::size_t& size) {
  const MutexLock lock(mutex_);
  if (begun_) {
    size = 0;
    return;
  }
  const std::size_t taken = std::min(size, kBuffer - in_.size());
  in_.append(data, taken);
  size -= taken;
  if (size > 0) Suspend();
  changed_.SignalAll();
}

bool HttpStream::EndBody() {
  const MutexLock lock(mutex_);
  in_ended_ = true;
  if (!begun_) Suspend();
  changed_.SignalAll();
  return begun_;
}

MHD_Response* HttpStream::NewResponse(std::shared_ptr<HttpStream> stream) {
  using Shared = std::shared_ptr<HttpStream>;
  const auto size = stream->size_;
  auto* const shared = new Shared(std::move(stream));
  MHD_Response* const response = ::MHD_create_response_from_callback(
      size ? *size : MHD_SIZE_UNKNOWN, kBlock,
      [](void* self, std::uint64_t, char* buffer, std::size_t room) {
        return ssize_t{(*static_cast<Shared*>(self))->TakeOut(buffer, room)};
      },
      shared, [](void* self) { delete static_cast<Shared*>(self); });
  if (response == nullptr) delete shared;
  return response;
}

long HttpStream::TakeOut(char* buffer, std::size_t size) {  // NOLINT
  const MutexLock lock(mutex_);
  const std::size_t taken = std::min(size, out_.size() - out_taken_);
  if (taken > 0) {
    std::memcpy(buffer, out_.data() + out_taken_, taken);
    out_taken_ += taken;
    changed_.SignalAll();
    return static_cast<ssize_t>(taken);
  }
  if (!out_ended_) {
    Suspend();
    return 0;
  }
  // Less than was announced is an error, too.
  return broken_off_ || size_ ? MHD_CONTENT_READER_END_WITH_ERROR
                              : MHD_CONTENT_READER_END_OF_STREAM;
}

void HttpStream::Leave() {
  const MutexLock lock(mutex_);
  connection_ = nullptr;
  changed_.SignalAll();
}

void HttpStream::Suspend() {
  suspended_ = true;
  ::MHD_suspend_connection(connection_);
}

void HttpStream::Resume() {
  if (!suspended_ || connection_ == nullptr) return;
  suspended_ = false;
  ::MHD_resume_connection(connection_);
}

}  // namespace userprofile::ops
