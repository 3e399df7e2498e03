#include "ops/admin_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"

namespace userprofile::ops {
namespace {

using ::testing::HasSubstr;

// A connection to 127.0.0.1:PORT.
int ConnectTo(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<std::uint16_t>(
      std::atoi(address.c_str() + address.rfind(':') + 1)));
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  return connect(client, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0
             ? client
             : -1;
}

class AdminServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = StartAdminServer("127.0.0.1:0", pages_);
    ASSERT_TRUE(started.ok()) << started.status();
    admin_ = *std::move(started);
  }

  httplib::Result Get(const char* path) {
    return httplib::Client("http://" + admin_->address()).Get(path);
  }

  std::string not_ready_;
  AdminPages pages_{[this] { return not_ready_; }, [] { return "some 1\n"; }};
  std::unique_ptr<HttpServer> admin_;
};

TEST_F(AdminServerTest, IsAliveFromTheStart) {
  const auto answer = Get("/livez");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "ok\n");
}

TEST_F(AdminServerTest, TellsWhyItIsNotReady) {
  not_ready_ = "SCHEMA_NOT_READY: users.first_name is missing";
  const auto answer = Get("/readyz");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->body, "SCHEMA_NOT_READY: users.first_name is missing\n");
}

TEST_F(AdminServerTest, IsReadyOnceTheServiceIs) {
  not_ready_ = "STARTING: nothing is known yet";
  EXPECT_EQ(Get("/readyz")->status, 503);
  not_ready_.clear();
  const auto answer = Get("/readyz");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "ready\n");
}

TEST_F(AdminServerTest, ShowsTheMetrics) {
  const auto answer = Get("/metrics");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_THAT(answer->get_header_value("Content-Type"),
              HasSubstr("version=0.0.4"));
  EXPECT_EQ(answer->body, "some 1\n");
}

TEST_F(AdminServerTest, ShowsWhatAProgramAdds) {
  pages_.more = {{"/", "text/html", [] { return "<p>hello"; }, "a policy"},
                 {"/data", "application/json", [] { return "{}"; }}};
  admin_ = nullptr;
  SetUp();
  const auto page = Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->body, "<p>hello");
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html");
  EXPECT_EQ(page->get_header_value("Content-Security-Policy"), "a policy");
  EXPECT_EQ(page->get_header_value("Cache-Control"), "no-store");
  EXPECT_EQ(page->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(Get("/data")->get_header_value("Content-Security-Policy"),
              HasSubstr("default-src 'none'"));
}

TEST_F(AdminServerTest, HasNothingElse) { EXPECT_EQ(Get("/x")->status, 404); }

TEST_F(AdminServerTest, KeepsNoConnectionOpen) {
  httplib::Client client("http://" + admin_->address());
  client.set_keep_alive(true);
  const auto answer = client.Get("/livez");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->get_header_value("Connection"), "close");
}

TEST_F(AdminServerTest, AnswersWhileClientsSendTheirRequestsByteByByte) {
  std::vector<int> slow;
  for (int i = 0; i < 10; ++i) {
    const int client = ConnectTo(admin_->address());
    ASSERT_GE(client, 0);
    slow.push_back(client);
  }
  const absl::Time end = absl::Now() + absl::Seconds(3);
  while (absl::Now() < end) {
    for (const int client : slow) {
      send(client, "G", 1, MSG_NOSIGNAL);  // never a whole request
    }
    const auto answer = Get("/livez");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
  }
  for (const int client : slow) close(client);
}

TEST_F(AdminServerTest, RefusesAnAddressInUse) {
  const auto second = StartAdminServer(admin_->address(), pages_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(admin_->address() + ": Address already in use"));
}

TEST_F(AdminServerTest, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "localhost", ":80", "localhost:",
                              "localhost:http", "localhost:65536", "::1:80"}) {
    const auto started = StartAdminServer(address, pages_);
    EXPECT_EQ(started.status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

TEST_F(AdminServerTest, RefusesAHostThatIsNotItsOwn) {
  const auto started = StartAdminServer("192.0.2.1:0", pages_);
  EXPECT_EQ(started.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(AdminServerTest, ListensOnIpv6) {
  const auto started = StartAdminServer("[::1]:0", pages_);
  if (!started.ok()) GTEST_SKIP() << "no IPv6 here: " << started.status();
  EXPECT_TRUE(absl::StartsWith((*started)->address(), "[::1]:"));
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
