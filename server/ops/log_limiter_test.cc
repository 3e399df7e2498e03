#include "server/ops/log_limiter.h"

#include "gtest/gtest.h"

namespace userprofile::ops {
namespace {

TEST(LogLimiterTest, AdmitsABurstPerIntervalAndCountsTheRest) {
  auto now = base::SteadyTime::Now();
  LogLimiter limiter(2, absl::Seconds(1), [&] { return now; });
  EXPECT_EQ(limiter.Admit(), 0);
  EXPECT_EQ(limiter.Admit(), 0);
  EXPECT_EQ(limiter.Admit(), absl::nullopt);
  now = now + absl::Milliseconds(999);
  EXPECT_EQ(limiter.Admit(), absl::nullopt);
  now = now + absl::Milliseconds(1);
  EXPECT_EQ(limiter.Admit(), 2);
  EXPECT_EQ(limiter.Admit(), 0);
  EXPECT_EQ(limiter.Admit(), absl::nullopt);
}

}  // namespace
}  // namespace userprofile::ops
