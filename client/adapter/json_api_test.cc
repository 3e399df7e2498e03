#include "client/adapter/json_api.h"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "httplib.h"
#include "ops/http_server.h"
#include "userprofile/client/mock_profile_client.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;
using ::testing::_;
using ::testing::Return;

class JsonApiTest : public ::testing::Test {
 protected:
  JsonApiTest()
      : server_(*ops::HttpServer::Start(
            "127.0.0.1:0", ops::HttpServerOptions(),
            [this](httplib::Server& http) { AddJsonApi(service_, http); })) {}

  httplib::Result Post(const std::string& method, const std::string& body,
                       const char* content_type = "application/json") {
    return httplib::Client(absl::StrCat("http://", server_->address()))
        .Post("/userprofile.v1.UserProfileService/" + method, body,
              content_type);
  }

  ::testing::StrictMock<client::MockProfileClient> service_;
  const std::unique_ptr<ops::HttpServer> server_;
};

TEST_F(JsonApiTest, EveryMethodThatBotsMayCallIsThere) {
  v1::GetProfileResponse found;
  found.mutable_profile()->set_user_id(7);
  EXPECT_CALL(service_, GetProfile(_)).WillOnce(Return(found));
  EXPECT_CALL(service_, UpsertUser(_))
      .WillOnce(Return(v1::UpsertUserResponse()));
  EXPECT_CALL(service_, CompleteOnboarding(_))
      .WillOnce(Return(v1::CompleteOnboardingResponse()));
  const auto answer = Post("GetProfile", R"({"user_id": 7})");
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(json::parse(answer->body)["profile"]["user_id"], "7");
  EXPECT_EQ(Post("UpsertUser", R"({"userId": "7"})")->status, 200);
  EXPECT_EQ(Post("CompleteOnboarding", "{}")->status, 200);
}

TEST_F(JsonApiTest, WhatIsNoCallIsRefused) {
  EXPECT_EQ(Post("Nothing", "{}")->status, 404);
  EXPECT_EQ(Post("GetProfile", "{}", "text/plain")->status, 415);
  const auto answer = Post("GetProfile", R"({"user": 7})");
  EXPECT_EQ(answer->status, 400);
  EXPECT_EQ(json::parse(answer->body)["message"],
            "the body is no GetProfileRequest in JSON");
}

TEST_F(JsonApiTest, ErrorsBringTheirDetails) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(3);
  absl::Status error = absl::ResourceExhaustedError("too many");
  error.SetPayload("type.googleapis.com/google.rpc.RetryInfo",
                   absl::Cord(retry.SerializeAsString()));
  error.SetPayload("type.googleapis.com/unknown.Kind", absl::Cord("x"));
  EXPECT_CALL(service_, GetProfile(_)).WillOnce(Return(error));
  const auto answer = Post("GetProfile", R"({"user_id": 7})");
  EXPECT_EQ(answer->status, 429);
  const json body = json::parse(answer->body);
  EXPECT_EQ(body["code"], "resource_exhausted");
  ASSERT_EQ(body["details"].size(), 2u);
  for (const json& detail : body["details"]) {
    if (detail["type"] == "unknown.Kind") {
      EXPECT_FALSE(detail.contains("debug"));
      EXPECT_EQ(detail["value"], "eA");
    } else {
      EXPECT_EQ(detail["debug"]["retry_delay"], "3s");
    }
  }
}

}  // namespace
}  // namespace userprofile::adapter
