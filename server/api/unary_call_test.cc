#include "server/api/unary_call.h"

#include "gtest/gtest.h"

namespace userprofile::api {
namespace {

TEST(DeadlineTest, IsTheSameTimeOnWhateverClock) {
  const gpr_timespec minute = gpr_time_from_seconds(60, GPR_TIMESPAN);
  for (const gpr_clock_type clock : {GPR_CLOCK_REALTIME, GPR_CLOCK_MONOTONIC}) {
    const absl::Duration left =
        ToSteadyTime(gpr_time_add(gpr_now(clock), minute)) -
        base::SteadyTime::Now();
    EXPECT_GT(left, absl::Seconds(55));
    EXPECT_LT(left, absl::Seconds(65));
  }
}

// std::chrono's clock ends in the year 2262. Callers who ask for the longest
// time that their language knows (Go: 292 years) were answered at once that it
// has passed.
TEST(DeadlineTest, MayLieBeyondTheEndOfTheSystemsClock) {
  const base::SteadyTime later = base::SteadyTime::Now() + absl::Hours(24);
  for (const std::int64_t hours : {2562047, 99999999}) {
    const gpr_timespec wait = gpr_time_from_hours(hours, GPR_TIMESPAN);
    for (const gpr_clock_type clock :
         {GPR_CLOCK_REALTIME, GPR_CLOCK_MONOTONIC}) {
      EXPECT_GT(ToSteadyTime(gpr_time_add(gpr_now(clock), wait)), later)
          << hours;
    }
  }
  EXPECT_GT(ToSteadyTime(gpr_inf_future(GPR_CLOCK_MONOTONIC)), later);
  EXPECT_LT(ToSteadyTime(gpr_inf_past(GPR_CLOCK_MONOTONIC)),
            base::SteadyTime::Now());
}

}  // namespace
}  // namespace userprofile::api
