#include "server/ops/recent_failures.h"

#include <utility>

namespace userprofile::ops {

void RecentFailures::Add(Failure failure) {
  base::MutexLock lock(mutex_);
  failures_.push_front(std::move(failure));
  if (failures_.size() > capacity_) failures_.pop_back();
}

std::vector<Failure> RecentFailures::List() const {
  base::MutexLock lock(mutex_);
  return {failures_.begin(), failures_.end()};
}

}  // namespace userprofile::ops
