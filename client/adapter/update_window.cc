#include "client/adapter/update_window.h"

#include <utility>

namespace userprofile::adapter {

UpdateWindow::UpdateWindow(std::size_t capacity, Recognizer recognizer)
    : capacity_(capacity), recognizer_(std::move(recognizer)) {}

void UpdateWindow::Add(UpdateLine update) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return entries_.size() < capacity_; });
  entries_.push_back({std::move(update)});
  Entry& entry = entries_.back();
  if (!entry.update.contact) {
    entry.finished = true;
    changed_.notify_all();
    return;
  }
  const auto [user, idle] =
      waiting_.try_emplace(entry.update.contact->user_id());
  if (!idle) {
    user->second.push_back(&entry);
    return;
  }
  lock.unlock();
  Send(entry);
}

void UpdateWindow::Close() {
  std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

std::vector<Outcome> UpdateWindow::Take() {
  std::vector<Outcome> outcomes;
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] {
    return entries_.empty() ? closed_ : entries_.front().finished;
  });
  while (!entries_.empty() && entries_.front().finished) {
    outcomes.push_back(std::move(entries_.front().update.outcome));
    entries_.pop_front();
  }
  changed_.notify_all();
  return outcomes;
}

// Called without the lock, which the answer may take at once. The entry is not
// finished, and so it stays where it is.
void UpdateWindow::Send(Entry& entry) {
  recognizer_(*std::move(entry.update.contact),
              [this, &entry](absl::StatusOr<client::Recognition> answer) {
                Finish(entry, answer);
              });
}

void UpdateWindow::Finish(Entry& entry,
                          const absl::StatusOr<client::Recognition>& answer) {
  Entry* next = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    entry.update.outcome.Set(answer);
    entry.finished = true;
    const auto user = waiting_.find(*entry.update.outcome.user_id);
    if (user->second.empty()) {
      waiting_.erase(user);
    } else {
      next = user->second.front();
      user->second.pop_front();
    }
    changed_.notify_all();
  }
  if (next != nullptr) Send(*next);
}

}  // namespace userprofile::adapter
