#include "server/ops/admin_server.h"

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"
#include "server/base/error_info.h"

namespace userprofile::ops {
namespace {

using ::testing::HasSubstr;

class AdminServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = AdminServer::Start("127.0.0.1:0", readiness_, metrics_);
    ASSERT_TRUE(started.ok()) << started.status();
    admin_ = *std::move(started);
  }

  httplib::Result Get(const char* path) {
    return httplib::Client("http://" + admin_->address()).Get(path);
  }

  Readiness readiness_;
  Metrics metrics_;
  std::unique_ptr<AdminServer> admin_;
};

TEST_F(AdminServerTest, IsAliveFromTheStart) {
  const auto answer = Get("/livez");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "ok\n");
}

TEST_F(AdminServerTest, TellsWhyItIsNotReady) {
  readiness_.Set(base::MakeError(absl::StatusCode::kUnavailable,
                                 "users.first_name is missing",
                                 "SCHEMA_NOT_READY"));
  const auto answer = Get("/readyz");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->body, "SCHEMA_NOT_READY: users.first_name is missing\n");
}

TEST_F(AdminServerTest, IsReadyOnceTheServiceIs) {
  EXPECT_EQ(Get("/readyz")->status, 503);
  readiness_.Set(absl::OkStatus());
  const auto answer = Get("/readyz");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "ready\n");
}

TEST_F(AdminServerTest, ShowsTheMetrics) {
  metrics_.Lane("upsert").CountRetry();
  const auto answer = Get("/metrics");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_THAT(answer->get_header_value("Content-Type"),
              HasSubstr("version=0.0.4"));
  EXPECT_THAT(answer->body,
              HasSubstr("userprofile_lane_retries_total{lane=\"upsert\"} 1"));
}

TEST_F(AdminServerTest, HasNothingElse) { EXPECT_EQ(Get("/x")->status, 404); }

TEST_F(AdminServerTest, KeepsNoConnectionOpen) {
  httplib::Client client("http://" + admin_->address());
  client.set_keep_alive(true);
  const auto answer = client.Get("/livez");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->get_header_value("Connection"), "close");
}

TEST_F(AdminServerTest, RefusesAnAddressInUse) {
  const auto second =
      AdminServer::Start(admin_->address(), readiness_, metrics_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(admin_->address() + ": Address already in use"));
}

TEST_F(AdminServerTest, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "localhost", ":80", "localhost:",
                              "localhost:http", "localhost:65536", "::1:80"}) {
    const auto started = AdminServer::Start(address, readiness_, metrics_);
    EXPECT_EQ(started.status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

TEST_F(AdminServerTest, RefusesAHostThatIsNotItsOwn) {
  const auto started = AdminServer::Start("192.0.2.1:0", readiness_, metrics_);
  EXPECT_EQ(started.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(AdminServerTest, ListensOnIpv6) {
  const auto started = AdminServer::Start("[::1]:0", readiness_, metrics_);
  if (!started.ok()) GTEST_SKIP() << "no IPv6 here: " << started.status();
  EXPECT_TRUE(absl::StartsWith((*started)->address(), "[::1]:"));
}

}  // namespace
}  // namespace userprofile::ops
