#ifndef USERPROFILE_SERVER_ACCESS_RATE_LIMITER_H_
#define USERPROFILE_SERVER_ACCESS_RATE_LIMITER_H_

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/steady_time.h"

namespace userprofile::access {

// A token bucket for each of those who take from it, by name. Remembers a
// thousand of them; more share one bucket, so that no number of names takes
// more memory. Thread-safe.
class RateLimiter {
 public:
  // Everybody's bucket holds `burst` tokens, at least one, and gains
  // `per_second`, above zero.
  RateLimiter(double per_second, double burst,
              base::SteadyClock clock = base::SteadyTime::Now);

  // Takes a token and returns zero, or returns how long until there is one.
  absl::Duration Take(absl::string_view name);

 private:
  static constexpr std::size_t kMostNames = 1000;

  void ForgetTheFull(base::SteadyTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::Duration interval_;  // from one token to the next
  const absl::Duration depth_;     // until an empty bucket is full
  const base::SteadyClock clock_;

  // When each one's bucket will be full again.
  base::Mutex mutex_;
  std::map<std::string, base::SteadyTime, std::less<>> full_at_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_RATE_LIMITER_H_
