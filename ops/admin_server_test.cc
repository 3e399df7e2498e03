#include "ops/admin_server.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/http_client.h"

namespace userprofile::ops {
namespace {

using ::testing::HasSubstr;
using ::userprofile::testing::HttpAnswer;
using ::userprofile::testing::HttpClient;

class AdminServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = StartAdminServer("127.0.0.1:0", pages_);
    ASSERT_TRUE(started.ok()) << started.status();
    admin_ = *std::move(started);
  }

  HttpAnswer Get(const std::string& path) {
    return HttpClient(admin_->address()).Get(path);
  }

  std::string not_ready_;
  AdminPages pages_{[this] { return not_ready_; }, [] { return "some 1\n"; }};
  std::unique_ptr<HttpServer> admin_;
};

TEST_F(AdminServerTest, IsAliveFromTheStart) {
  const auto answer = Get("/livez");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "ok\n");
}

TEST_F(AdminServerTest, TellsWhyItIsNotReady) {
  not_ready_ = "SCHEMA_NOT_READY: users.first_name is missing";
  const auto answer = Get("/readyz");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "SCHEMA_NOT_READY: users.first_name is missing\n");
}

TEST_F(AdminServerTest, IsReadyOnceTheServiceIs) {
  not_ready_ = "STARTING: nothing is known yet";
  EXPECT_EQ(Get("/readyz").status, 503);
  not_ready_.clear();
  const auto answer = Get("/readyz");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "ready\n");
}

TEST_F(AdminServerTest, ShowsTheMetrics) {
  const auto answer = Get("/metrics");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.Header("Content-Type"), HasSubstr("version=0.0.4"));
  EXPECT_EQ(answer.body, "some 1\n");
}

TEST_F(AdminServerTest, ShowsWhatAProgramAdds) {
  pages_.more = {{"/", "text/html", [] { return "<p>hello"; }, "a policy"},
                 {"/data", "application/json", [] { return "{}"; }}};
  admin_ = nullptr;
  SetUp();
  const auto page = Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page.body, "<p>hello");
  EXPECT_EQ(page.Header("Content-Type"), "text/html");
  EXPECT_EQ(page.Header("Content-Security-Policy"), "a policy");
  EXPECT_EQ(page.Header("Cache-Control"), "no-store");
  EXPECT_EQ(page.Header("X-Content-Type-Options"), "nosniff");
  EXPECT_THAT(Get("/data").Header("Content-Security-Policy"),
              HasSubstr("default-src 'none'"));
}

TEST_F(AdminServerTest, HasNothingElse) { EXPECT_EQ(Get("/x").status, 404); }

TEST_F(AdminServerTest, KeepsNoConnectionOpen) {
  EXPECT_EQ(Get("/livez").Header("Connection"), "close");
}

TEST_F(AdminServerTest, IsReadOnlyAndHasHeadsToo) {
  HttpClient client(admin_->address());
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "BREW"}) {
    const HttpAnswer answer =
        client.Send(method, "/livez", {{"Content-Length", "1"}}, "x");
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_EQ(answer.Header("Allow"), "GET, HEAD");
  }
  const HttpAnswer head = client.Send("HEAD", "/livez");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Header("Content-Length"), "3");
  EXPECT_EQ(head.body, "");
}

}  // namespace
}  // namespace userprofile::ops
