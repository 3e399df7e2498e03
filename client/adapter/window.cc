#include "client/adapter/window.h"

#include <utility>

namespace userprofile::adapter {

void Turns::Take(absl::optional<std::int64_t> user,
                 std::function<void()> begin) {
  if (user) {
    const base::MutexLock lock(mutex_);
    const auto [line, is_first] = waiting_.try_emplace(*user);
    if (!is_first) {
      line->second.push_back(std::move(begin));
      return;
    }
  }
  begin();
}

void Turns::GiveUp(absl::optional<std::int64_t> user) {
  if (!user) return;
  std::function<void()> next;
  {
    const base::MutexLock lock(mutex_);
    const auto line = waiting_.find(*user);
    if (line->second.empty()) {
      waiting_.erase(line);
      return;
    }
    next = std::move(line->second.front());
    line->second.pop_front();
  }
  next();
}

UpdateWindow::UpdateWindow(std::size_t capacity, Handler handler)
    : capacity_(capacity), handler_(std::move(handler)) {}

void UpdateWindow::Add(Update update) {
  const auto user = update.outcome.user_id;
  Entry* entry;
  {
    const base::MutexLock lock(mutex_);
    while (entries_.size() >= capacity_) changed_.Wait(mutex_);
    entry = &entries_.emplace_back();
    entry->update = std::move(update);
  }
  turns_.Take(user, [this, user, entry] {
    handler_(std::move(entry->update), [this, user, entry](Outcome outcome) {
      // First, for all may be over once the last one is finished.
      turns_.GiveUp(user);
      const base::MutexLock lock(mutex_);
      entry->outcome = std::move(outcome);
      entry->finished = true;
      changed_.SignalAll();
    });
  });
}

void UpdateWindow::Close() {
  const base::MutexLock lock(mutex_);
  closed_ = true;
  changed_.SignalAll();
}

std::vector<Outcome> UpdateWindow::Take(base::SteadyTime until) {
  std::vector<Outcome> outcomes;
  const base::MutexLock lock(mutex_);
  while (entries_.empty() ? !closed_ : !entries_.front().finished) {
    if (base::SteadyTime::Now() >= until) return outcomes;
    changed_.WaitUntil(mutex_, until);
  }
  while (!entries_.empty() && entries_.front().finished) {
    outcomes.push_back(std::move(entries_.front().outcome));
    entries_.pop_front();
  }
  changed_.SignalAll();
  return outcomes;
}

std::size_t UpdateWindow::size() {
  const base::MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace userprofile::adapter
