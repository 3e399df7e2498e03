#include "client/adapter/turns.h"

namespace userprofile::adapter {

Turns::Turn Turns::Take(std::int64_t user) {
  std::lock_guard<std::mutex> lock(mutex_);
  return {*this, user, lines_[user].next++};
}

void Turns::Turn::Await() {
  std::unique_lock<std::mutex> lock(turns_->mutex_);
  turns_->changed_.wait(
      lock, [this] { return turns_->lines_.at(user_).now == number_; });
}

Turns::Turn::~Turn() {
  if (turns_ == nullptr) return;
  Await();
  std::lock_guard<std::mutex> lock(turns_->mutex_);
  const auto line = turns_->lines_.find(user_);
  if (++line->second.now == line->second.next) turns_->lines_.erase(line);
  turns_->changed_.notify_all();
}

}  // namespace userprofile::adapter
