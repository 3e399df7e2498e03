#include "server/service/attempt_limiter.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace userprofile::service {
namespace {

class AttemptLimiterTest : public ::testing::Test {
 protected:
  int CountUntilRefused(const std::string& peer) {
    int counted = 0;
    while (limiter_.Count(peer)) ++counted;
    return counted;
  }

  absl::Time now_ = absl::FromUnixSeconds(1800000000);
  AttemptLimiter limiter_{[this] { return now_; }};
};

TEST_F(AttemptLimiterTest, AllowsAHundredAtOnceAndOneASecond) {
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 100);
  now_ += absl::Milliseconds(500);
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 0);
  now_ += absl::Milliseconds(500);
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 1);
  now_ += absl::Seconds(10);
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 10);
  now_ += absl::Hours(1);
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 100);
}

TEST_F(AttemptLimiterTest, CountsEachPeerForItself) {
  EXPECT_EQ(CountUntilRefused("10.0.0.7"), 100);
  EXPECT_EQ(CountUntilRefused("10.0.0.8"), 100);
}

TEST_F(AttemptLimiterTest, PeersBeyondAThousandShareOneLimitUntilOthersCalm) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(limiter_.Count(absl::StrCat("10.0.", i / 256, ".", i % 256)));
  }
  EXPECT_EQ(CountUntilRefused("10.1.0.1"), 100);
  EXPECT_EQ(CountUntilRefused("10.1.0.2"), 0);
  now_ += absl::Seconds(2);
  EXPECT_EQ(CountUntilRefused("10.1.0.2"), 100);
}

TEST(PeerOfTest, IsTheAddressWithoutThePort) {
  EXPECT_EQ(PeerOf("ipv4:10.0.0.7:41022"), "10.0.0.7");
  EXPECT_EQ(PeerOf("ipv6:%5B2001:db8::7%5D:41022"), "2001:db8::7");
  EXPECT_EQ(PeerOf("ipv6:[::1]:41022"), "::1");
  EXPECT_EQ(PeerOf("unix:/run/userprofile"), "unix:/run/userprofile");
  EXPECT_EQ(PeerOf(""), "");
}

}  // namespace
}  // namespace userprofile::service
