#ifndef USERPROFILE_BASE_STEADY_TIME_H_
#define USERPROFILE_BASE_STEADY_TIME_H_

#include <chrono>
#include <functional>

#include "absl/time/time.h"

namespace userprofile::base {

// A moment by a clock that nobody sets, and that only goes forward: for
// everything that waits, limits, or measures how long something took. The
// system's clock (absl::Now) is for what is stored, shown or sent, for it can
// be set back or forth at any time. A value means nothing to another process.
class SteadyTime {
 public:
  // The start of the clock: before any Now().
  SteadyTime() = default;

  static SteadyTime Now() {
    return SteadyTime(
        absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch()));
  }
  static SteadyTime InfiniteFuture() {
    return SteadyTime(absl::InfiniteDuration());
  }
  static SteadyTime InfinitePast() {
    return SteadyTime(-absl::InfiniteDuration());
  }

  friend SteadyTime operator+(SteadyTime time, absl::Duration duration) {
    return SteadyTime(time.since_start_ + duration);
  }
  friend SteadyTime operator-(SteadyTime time, absl::Duration duration) {
    return SteadyTime(time.since_start_ - duration);
  }
  friend absl::Duration operator-(SteadyTime a, SteadyTime b) {
    return a.since_start_ - b.since_start_;
  }
  friend bool operator==(SteadyTime a, SteadyTime b) {
    return a.since_start_ == b.since_start_;
  }
  friend bool operator!=(SteadyTime a, SteadyTime b) { return !(a == b); }
  friend bool operator<(SteadyTime a, SteadyTime b) {
    return a.since_start_ < b.since_start_;
  }
  friend bool operator>(SteadyTime a, SteadyTime b) { return b < a; }
  friend bool operator<=(SteadyTime a, SteadyTime b) { return !(b < a); }
  friend bool operator>=(SteadyTime a, SteadyTime b) { return !(a < b); }

 private:
  explicit SteadyTime(absl::Duration since_start) : since_start_(since_start) {}

  absl::Duration since_start_;
};

// Tells the steady time; SteadyTime::Now, except in tests. Called from any
// thread.
using SteadyClock = std::function<SteadyTime()>;

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_STEADY_TIME_H_
