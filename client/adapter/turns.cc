#include "client/adapter/turns.h"

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

}  // namespace userprofile::adapter
