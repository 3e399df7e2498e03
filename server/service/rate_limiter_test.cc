#include "server/service/rate_limiter.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace userprofile::service {
namespace {

class RateLimiterTest : public ::testing::Test {
 protected:
  absl::Time now_ = absl::UnixEpoch();
  RateLimiter limiter_{10, 5, [this] { return now_; }};
};

TEST_F(RateLimiterTest, LetsABurstThroughAndThenItsRate) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(limiter_.Take("a"), absl::ZeroDuration());
  }
  EXPECT_EQ(limiter_.Take("a"), absl::Milliseconds(100));
  now_ += absl::Milliseconds(40);
  EXPECT_EQ(limiter_.Take("a"), absl::Milliseconds(60));
  now_ += absl::Milliseconds(60);
  EXPECT_EQ(limiter_.Take("a"), absl::ZeroDuration());
  EXPECT_EQ(limiter_.Take("a"), absl::Milliseconds(100));
}

TEST_F(RateLimiterTest, SavesNoMoreThanABurst) {
  now_ += absl::Hours(1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(limiter_.Take("a"), absl::ZeroDuration());
  }
  EXPECT_GT(limiter_.Take("a"), absl::ZeroDuration());
}

TEST_F(RateLimiterTest, GivesEachABucketOfItsOwn) {
  for (int i = 0; i < 6; ++i) limiter_.Take("a");
  EXPECT_EQ(limiter_.Take("b"), absl::ZeroDuration());
}

TEST_F(RateLimiterTest, LetsACrowdShareABucketUntilOthersAreFull) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(limiter_.Take(absl::StrCat("a", i)), absl::ZeroDuration());
  }
  int admitted = 0;
  for (int i = 0; i < 100; ++i) {
    if (limiter_.Take(absl::StrCat("b", i)) == absl::ZeroDuration()) ++admitted;
  }
  EXPECT_EQ(admitted, 5);
  now_ += absl::Seconds(1);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(limiter_.Take(absl::StrCat("c", i)), absl::ZeroDuration());
  }
}

}  // namespace
}  // namespace userprofile::service
