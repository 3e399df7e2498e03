#include "server/access/rate_limiter.h"

#include <algorithm>
#include <iterator>

namespace userprofile::access {

RateLimiter::RateLimiter(double per_second, double burst,
                         base::SteadyClock clock)
    : interval_(absl::Seconds(1 / per_second)),
      depth_(interval_ * std::max(burst, 1.0)),
      clock_(std::move(clock)) {}

absl::Duration RateLimiter::Take(absl::string_view name) {
  const base::SteadyTime now = clock_();
  base::MutexLock lock(mutex_);
  auto it = full_at_.find(name);
  if (it == full_at_.end()) {
    if (full_at_.size() >= kMostNames) ForgetTheFull(now);
    const bool crowded = full_at_.size() >= kMostNames;
    it = full_at_.try_emplace(crowded ? std::string() : std::string(name), now)
             .first;
  }
  const base::SteadyTime full_at = std::max(it->second, now) + interval_;
  if (full_at > now + depth_) return full_at - (now + depth_);
  it->second = full_at;
  return absl::ZeroDuration();
}

void RateLimiter::ForgetTheFull(base::SteadyTime now) {
  for (auto it = full_at_.begin(); it != full_at_.end();) {
    it = it->second <= now ? full_at_.erase(it) : std::next(it);
  }
}

}  // namespace userprofile::access
