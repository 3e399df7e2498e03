#include "ops/listen.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace userprofile::ops {
namespace {

TEST(ListenTest, TellsThePortThatItTook) {
  const auto listening = Listen("localhost:0");
  ASSERT_TRUE(listening.ok()) << listening.status();
  EXPECT_TRUE(absl::StartsWith(listening->second, "localhost:"));
  EXPECT_FALSE(absl::EndsWith(listening->second, ":0"));
  int is_listening = 0;
  socklen_t size = sizeof(is_listening);
  EXPECT_EQ(::getsockopt(listening->first, SOL_SOCKET, SO_ACCEPTCONN,
                         &is_listening, &size),
            0);
  EXPECT_EQ(is_listening, 1);
  const auto second = Listen(listening->second);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  ::close(listening->first);
  const auto again = Listen(listening->second);
  ASSERT_TRUE(again.ok()) << again.status();
  ::close(again->first);
}

TEST(ListenTest, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "localhost", ":80", "localhost:-1",
                              "localhost:+80x", "localhost:65536", "::1:80"}) {
    EXPECT_EQ(Listen(address).status().code(),
              absl::StatusCode::kInvalidArgument)
        << address;
  }
}

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
