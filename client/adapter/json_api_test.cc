#include "client/adapter/json_api.h"

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "ops/http_server.h"
#include "tests/support/http_client.h"
#include "userprofile/client/mock_profile_client.h"
#include "userprofile/v1/annotations.pb.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;
using ::testing::_;
using ::testing::ElementsAre;
using ::testing::Return;

class JsonApiTest : public ::testing::Test {
 protected:
  JsonApiTest()
      : server_(*ops::HttpServer::Start("127.0.0.1:0", ops::HttpServerOptions(),
                                        JsonApi(service_))) {}

  userprofile::testing::HttpAnswer Post(
      const std::string& method, const std::string& body,
      const char* content_type = "application/json") {
    return userprofile::testing::HttpClient(server_->address())
        .Post("/userprofile.v1.UserProfileService/" + method, body,
              {{"Content-Type", content_type}});
  }

  ::testing::StrictMock<client::MockProfileClient> service_;
  const std::unique_ptr<ops::HttpServer> server_;
};

TEST_F(JsonApiTest, EveryMethodThatBotsMayCallIsThere) {
  v1::GetProfileResponse found;
  found.mutable_profile()->set_user_id(7);
  EXPECT_CALL(service_, GetProfile(_)).WillOnce(Return(found));
  v1::BatchGetProfilesResponse batch;
  batch.add_profiles()->set_user_id(7);
  batch.add_missing_user_ids(8);
  EXPECT_CALL(service_, BatchGetProfiles(_)).WillOnce(Return(batch));
  EXPECT_CALL(service_, UpsertUser(_))
      .WillOnce(Return(v1::UpsertUserResponse()));
  EXPECT_CALL(service_, CompleteOnboarding(_))
      .WillOnce(Return(v1::CompleteOnboardingResponse()));
  const auto answer = Post("GetProfile", R"({"user_id": 7})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(json::parse(answer.body)["profile"]["user_id"], "7");
  const auto many = Post("BatchGetProfiles", R"({"user_ids": [7, "8"]})");
  EXPECT_EQ(json::parse(many.body)["profiles"][0]["user_id"], "7");
  EXPECT_EQ(json::parse(many.body)["missing_user_ids"][0], "8");
  EXPECT_EQ(Post("UpsertUser", R"({"userId": "7"})").status, 200);
  EXPECT_EQ(Post("CompleteOnboarding", "{}").status, 200);
}

TEST_F(JsonApiTest, WhatIsNoCallIsRefused) {
  EXPECT_EQ(Post("Nothing", "{}").status, 404);
  EXPECT_EQ(Post("LookupProfile", R"({"username": "sara"})").status, 404);
  EXPECT_EQ(Post("WatchProfiles", "{}").status, 404);
  EXPECT_EQ(Post("GetProfile", "{}", "text/plain").status, 415);
  const auto answer = Post("GetProfile", R"({"user": 7})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(json::parse(answer.body)["message"],
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
  EXPECT_EQ(answer.status, 429);
  const json body = json::parse(answer.body);
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

// Of what is linked in, some can't be written as JSON, whatever it holds.
TEST_F(JsonApiTest, ADetailThatJsonCantHoldHasNoDebug) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(
      std::numeric_limits<std::int64_t>::max());
  google::protobuf::Any unknown;
  unknown.set_type_url("type.googleapis.com/unknown.Kind");
  unknown.set_value("x");
  google::rpc::Status status;
  *status.add_details() = unknown;
  for (const google::protobuf::Message* detail :
       std::initializer_list<const google::protobuf::Message*>{&retry, &status,
                                                               &unknown}) {
    const std::string type = detail->GetTypeName();
    absl::Status error = absl::ResourceExhaustedError("too many");
    error.SetPayload("type.googleapis.com/" + type,
                     absl::Cord(detail->SerializeAsString()));
    EXPECT_CALL(service_, GetProfile(_)).WillOnce(Return(error));
    const auto answer = Post("GetProfile", R"({"user_id": 7})");
    EXPECT_EQ(answer.status, 429) << type;
    const json body = json::parse(answer.body, nullptr, false);
    ASSERT_EQ(body["details"].size(), 1u) << type << answer.body;
    EXPECT_EQ(body["details"][0]["type"], type);
    EXPECT_FALSE(body["details"][0].contains("debug")) << type;
  }
}

TEST_F(JsonApiTest, AnAnswerThatJsonCantHoldIsAnError) {
  v1::GetProfileResponse found;
  found.mutable_profile()->mutable_created_at()->set_seconds(
      std::numeric_limits<std::int64_t>::max());
  EXPECT_CALL(service_, GetProfile(_)).WillOnce(Return(found));
  const auto answer = Post("GetProfile", R"({"user_id": 7})");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(json::parse(answer.body, nullptr, false)["code"], "internal");
}

TEST(IsForBotsTest, GoesByTheRolesAndNeverForStreams) {
  google::protobuf::FileDescriptorProto file;
  file.set_name("test.proto");
  file.add_message_type()->set_name("Empty");
  auto& service = *file.add_service();
  service.set_name("Service");
  const auto add = [&](const std::string& name, std::vector<v1::Role> roles) {
    auto& method = *service.add_method();
    method.set_name(name);
    method.set_input_type("Empty");
    method.set_output_type("Empty");
    for (const v1::Role role : roles) {
      method.mutable_options()->AddExtension(v1::roles, role);
    }
    return &method;
  };
  add("bot", {v1::ROLE_BOT});
  add("reader_and_bot", {v1::ROLE_READER, v1::ROLE_BOT});
  add("reader", {v1::ROLE_READER});
  add("admin", {v1::ROLE_ADMIN});
  add("nobody", {});
  add("client_stream", {v1::ROLE_BOT})->set_client_streaming(true);
  add("server_stream", {v1::ROLE_BOT})->set_server_streaming(true);
  google::protobuf::DescriptorPool pool;
  const auto* built = pool.BuildFile(file)->service(0);
  std::vector<std::string> for_bots;
  for (int i = 0; i < built->method_count(); ++i) {
    if (IsForBots(*built->method(i)))
      for_bots.push_back(built->method(i)->name());
  }
  EXPECT_THAT(for_bots, ElementsAre("bot", "reader_and_bot"));
}

}  // namespace
}  // namespace userprofile::adapter
