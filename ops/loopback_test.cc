#include "ops/loopback.h"

#include <gtest/gtest.h>

namespace userprofile::ops {
namespace {

TEST(LoopbackTest, IsWhatOnlyThisMachineReaches) {
  for (const char* address : {"127.0.0.1:50051", "127.1.2.3:0", "localhost:80",
                              "[::1]:80", "unix:/run/userprofile.sock"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
}

TEST(LoopbackTest, IsNothingElse) {
  for (const char* address :
       {"", ":80", "0.0.0.0:80", "[::]:80", "128.0.0.1:80", "10.0.0.1:80",
        "127.example.org:80", "localhost.example.org:80", "127.0.0.1",
        "[::2]:80", "[::ffff:10.0.0.1]:80"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

}  // namespace
}  // namespace userprofile::ops
