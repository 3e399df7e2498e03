#include "server/access/rate_limiter.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace userprofile::access {
namespace {

class RateLimiterTest : public ::testing::Test {
 protected:
  base::SteadyTime now_;
  RateLimiter limiter_{10, 5, [this] { return now_; }};
};

TEST_F(RateLimiterTest, LetsABurstThroughAndThenItsRate) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(limiter_.Take("a"), absl::ZeroDuration());
  }
  EXPECT_EQ(limiter_.Take("a"), absl::Milliseconds(100));
  now_ = now_ + absl::Milliseconds(40);
  EXPECT_EQ(limiter_.Take("a"), absl::Milliseconds(60));
  now_ = now_ + absl::Milliseconds(60);
  EXPECT_EQ(limiter_.Take("a"), absl::ZeroDuration());
  EXPECT_EQ(limiter_.Take("a"), absl::Milliseconds(100));
}

TEST_F(RateLimiterTest, SavesNoMoreThanABurst) {
  now_ = now_ + absl::Hours(1);
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
  now_ = now_ + absl::Seconds(1);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(limiter_.Take(absl::StrCat("c", i)), absl::ZeroDuration());
  }
}

// As access.h limits attempts.
class AttemptLimitTest : public ::testing::Test {
 protected:
  bool Count(const std::string& peer) {
    return limiter_.Take(peer) == absl::ZeroDuration();
  }

  int CountUntilRefused(const std::string& peer) {
    int counted = 0;
    while (Count(peer)) ++counted;
    return counted;
  }

  base::SteadyTime now_;
  RateLimiter limiter_{1, 100, [this] { return now_; }};
};

TEST_F(AttemptLimitTest, AllowsAHundredAtOnceAndOneASecond) {
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 100);
  now_ = now_ + absl::Milliseconds(500);
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 0);
  now_ = now_ + absl::Milliseconds(500);
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 1);
  now_ = now_ + absl::Seconds(10);
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 10);
  now_ = now_ + absl::Hours(1);
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 100);
}

TEST_F(AttemptLimitTest, CountsEachPeerForItself) {
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 100);
  EXPECT_EQ(CountUntilRefused("10.0.0.8"), 100);
}

TEST_F(AttemptLimitTest, PeersBeyondAThousandShareOneLimitUntilOthersCalm) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(Count(absl::StrCat("10.0.", i / 256, ".", i % 256)));
  }
  EXPECT_EQ(CountUntilRefused("10.1.0.1"), 100);
  EXPECT_EQ(CountUntilRefused("10.1.0.2"), 0);
  now_ = now_ + absl::Seconds(2);
  EXPECT_EQ(CountUntilRefused("10.1.0.2"), 100);
}

}  // namespace
}  // namespace userprofile::access
