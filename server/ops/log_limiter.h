#ifndef USERPROFILE_SERVER_OPS_LOG_LIMITER_H_
#define USERPROFILE_SERVER_OPS_LOG_LIMITER_H_

#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/steady_time.h"

namespace userprofile::ops {

// Keeps what callers cause from flooding the log: lets through `burst` messages
// per interval. Thread-safe.
class LogLimiter {
 public:
  LogLimiter(int burst, absl::Duration interval,
             base::SteadyClock clock = base::SteadyTime::Now)
      : burst_(burst), interval_(interval), clock_(std::move(clock)) {}

  // Whether a message may be logged now. If so, how many were held back in the
  // intervals before: the first message of an interval should say so.
  absl::optional<std::int64_t> Admit();

 private:
  const int burst_;
  const absl::Duration interval_;
  const base::SteadyClock clock_;

  base::Mutex mutex_;
  base::SteadyTime interval_end_ ABSL_GUARDED_BY(mutex_);
  int admitted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t held_back_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_SERVER_OPS_LOG_LIMITER_H_
