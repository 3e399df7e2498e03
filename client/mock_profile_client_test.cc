#include "userprofile/client/mock_profile_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace userprofile::client {
namespace {

using ::testing::_;
using ::testing::Return;

TEST(MockProfileClientTest, RecognizeSaysWhatTheMockedAnswerMeans) {
  MockProfileClient service;
  v1::UpsertUserResponse onboarded;
  onboarded.mutable_profile()->set_onboarding_completed(true);
  EXPECT_CALL(service, UpsertUser(_))
      .WillOnce(Return(onboarded))
      .WillOnce(Return(absl::UnavailableError("away")));
  EXPECT_EQ(*service.Recognize(v1::UpsertUserRequest()),
            Recognition::kOnboarded);
  EXPECT_TRUE(
      absl::IsUnavailable(service.Recognize(v1::UpsertUserRequest()).status()));
}

TEST(MockProfileClientTest, AnswersWithACallback) {
  MockProfileClient service;
  EXPECT_CALL(service, UpsertUser(_))
      .WillOnce([](const v1::UpsertUserRequest& contact) {
        EXPECT_EQ(contact.user_id(), 7);
        v1::UpsertUserResponse response;
        response.set_created(true);
        return response;
      });
  v1::UpsertUserRequest contact;
  contact.set_user_id(7);
  bool answered = false;
  service.Recognize(contact, [&](absl::StatusOr<Recognition> recognition) {
    EXPECT_EQ(*recognition, Recognition::kNew);
    answered = true;
  });
  EXPECT_TRUE(answered);
}

TEST(MockProfileClientTest, HasEveryMethodOfTheService) {
  ::testing::NiceMock<MockProfileClient> service;
  const auto& methods =
      *v1::UpsertUserRequest::descriptor()->file()->service(0);
  for (int i = 0; i < methods.method_count(); ++i) {
    const auto& method = *methods.method(i);
    if (method.server_streaming()) continue;  // Watch
    const auto answer = service.Call(
        method, ProfileClient::Message(
                    google::protobuf::MessageFactory::generated_factory()
                        ->GetPrototype(method.input_type())
                        ->New()));
    EXPECT_NE(answer.status(), absl::UnimplementedError("not mocked"))
        << method.name();
  }
}

}  // namespace
}  // namespace userprofile::client
