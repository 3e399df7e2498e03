#include "server/api/deadlines.h"

#include <algorithm>
#include <utility>

namespace userprofile::api {
namespace {

// A deadline further away than the first does not wake the thread. Having
// looked through all, it waits for the second at least, unless an earlier one
// comes.
constexpr absl::Duration kLongestPause = absl::Seconds(1);
constexpr absl::Duration kShortestPause = absl::Milliseconds(2);

}  // namespace

Deadlines::Deadlines() : thread_([this] { return CallDue(); }) {}

void Deadlines::Add(std::shared_ptr<Waiter> waiter, base::SteadyTime deadline) {
  bool earlier;
  {
    base::MutexLock lock(mutex_);
    waiter->place_ = waiting_.size();
    waiting_.push_back({deadline, std::move(waiter)});
    earlier = deadline < next_look_;
    if (earlier) next_look_ = deadline;
  }
  if (earlier) thread_.Wake();
}

void Deadlines::Remove(Waiter& waiter) {
  std::shared_ptr<Waiter> taken;  // so that it does not die under the lock
  base::MutexLock lock(mutex_);
  if (waiter.place_ != Waiter::kNowhere) taken = Take(waiter.place_);
}

std::shared_ptr<Deadlines::Waiter> Deadlines::Take(std::size_t place) {
  std::shared_ptr<Waiter> taken = std::move(waiting_[place].waiter);
  if (place + 1 < waiting_.size()) {
    waiting_[place] = std::move(waiting_.back());
    waiting_[place].waiter->place_ = place;
  }
  waiting_.pop_back();
  taken->place_ = Waiter::kNowhere;
  return taken;
}

absl::Duration Deadlines::CallDue() {
  std::vector<std::shared_ptr<Waiter>> due;
  absl::Duration pause;
  {
    base::MutexLock lock(mutex_);
    const base::SteadyTime now = base::SteadyTime::Now();
    next_look_ = now + kLongestPause;
    // From the last on, for whoever takes a place comes from the end.
    for (std::size_t place = waiting_.size(); place-- > 0;) {
      const base::SteadyTime deadline = waiting_[place].deadline;
      if (deadline <= now) {
        due.push_back(Take(place));
      } else {
        next_look_ = std::min(next_look_, deadline);
      }
    }
    next_look_ = std::max(next_look_, now + kShortestPause);
    pause = next_look_ - now;
  }
  for (const auto& waiter : due) waiter->OnDeadline();
  return pause;
}

}  // namespace userprofile::api
