#ifndef USERPROFILE_BASE_CLOCK_H_
#define USERPROFILE_BASE_CLOCK_H_

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace userprofile::base {

// Tells the time that is stored or shown; absl::Now, except in tests. Called
// from any thread. Never to wait by: see steady_time.h.
using Clock = std::function<absl::Time()>;

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_CLOCK_H_
