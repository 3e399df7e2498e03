#include "server/access/peer.h"

#include "gtest/gtest.h"

namespace userprofile::access {
namespace {

TEST(PeerOfTest, IsTheAddressWithoutThePort) {
  EXPECT_EQ(PeerOf("ipv4:10.0.0.7:41022"), "10.0.0.7");
  EXPECT_EQ(PeerOf("ipv6:%5B2001:db8::7%5D:41022"), "2001:db8::7");
  EXPECT_EQ(PeerOf("ipv6:[::1]:41022"), "::1");
  EXPECT_EQ(PeerOf("unix:/run/userprofile"), "unix:/run/userprofile");
  EXPECT_EQ(PeerOf(""), "");
}

}  // namespace
}  // namespace userprofile::access
