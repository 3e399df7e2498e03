#ifndef USERPROFILE_SERVER_BASE_CLOCK_H_
#define USERPROFILE_SERVER_BASE_CLOCK_H_

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace userprofile::base {

// Tells the time; absl::Now, except in tests. Called from any thread.
using Clock = std::function<absl::Time()>;

}  // namespace userprofile::base

#endif  // USERPROFILE_SERVER_BASE_CLOCK_H_
