#include "server/access/peer.h"

#include "gtest/gtest.h"

namespace userprofile::access {
namespace {

TEST(AddressOfTest, IsTheAddressWithoutThePort) {
  EXPECT_EQ(AddressOf("ipv4:10.0.0.7:41022"), "10.0.0.7");
  EXPECT_EQ(AddressOf("ipv6:[::1]:41022"), "::1");
  EXPECT_EQ(AddressOf("ipv6:%5Bfe80::7%25eth0%5D:41022"), "fe80::7%eth0");
  EXPECT_EQ(AddressOf("ipv6:[fe80::7]:41022"), "fe80::7");
  EXPECT_EQ(AddressOf("unix:/run/userprofile"), "unix:/run/userprofile");
  EXPECT_EQ(AddressOf(""), "");
}

TEST(AddressOfTest, IsTheNetworkOfIpv6) {
  EXPECT_EQ(AddressOf("ipv6:%5B2001:db8:1:2::7%5D:41022"), "2001:db8:1:2::/64");
  EXPECT_EQ(AddressOf("ipv6:[2001:db8:1:2:3:4:5:6]:1"), "2001:db8:1:2::/64");
  EXPECT_EQ(AddressOf("ipv6:[fd00::7]:1"), "fd00::/64");
}

}  // namespace
}  // namespace userprofile::access
