#include "server/ops/log_limiter.h"

#include <utility>

namespace userprofile::ops {

absl::optional<std::int64_t> LogLimiter::Admit() {
  const base::SteadyTime now = clock_();
  base::MutexLock lock(mutex_);
  if (now >= interval_end_) {
    interval_end_ = now + interval_;
    admitted_ = 0;
  }
  if (admitted_ >= burst_) {
    ++held_back_;
    return absl::nullopt;
  }
  ++admitted_;
  return std::exchange(held_back_, 0);
}

}  // namespace userprofile::ops
