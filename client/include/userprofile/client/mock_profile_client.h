#ifndef USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_
#define USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_

#include <memory>
#include <type_traits>
#include <utility>

#include <gmock/gmock.h>

#include "userprofile/client/profile_client.h"

namespace userprofile::client {

// A ProfileClient for tests of what calls it, with GoogleMock. Each method is
// mocked once: a call with a callback gets the same answer. Recognize() is as
// ever: it says what UpsertUser's answer means.
//
//   MockProfileClient service;
//   v1::UpsertUserResponse known;
//   known.mutable_profile()->set_onboarding_completed(true);
//   EXPECT_CALL(service, UpsertUser(_)).WillOnce(Return(known));
class MockProfileClient : public ProfileClient {
 public:
  MOCK_METHOD(absl::StatusOr<v1::UpsertUserResponse>, UpsertUser,
              (const v1::UpsertUserRequest& request));
  MOCK_METHOD(absl::StatusOr<v1::GetProfileResponse>, GetProfile,
              (const v1::GetProfileRequest& request));
  MOCK_METHOD(absl::StatusOr<v1::CompleteOnboardingResponse>,
              CompleteOnboarding,
              (const v1::CompleteOnboardingRequest& request));

  void Start(const google::protobuf::MethodDescriptor&, Message request,
             Done<Message> done) override {
    done(Answer(*request, &MockProfileClient::UpsertUser,
                &MockProfileClient::GetProfile,
                &MockProfileClient::CompleteOnboarding));
  }

 private:
  // The answer of the mocked method that takes this request.
  template <typename... Request, typename... Response>
  absl::StatusOr<Message> Answer(
      const google::protobuf::Message& request,
      absl::StatusOr<Response> (MockProfileClient::*... mocked)(
          const Request&)) {
    absl::StatusOr<Message> answer = absl::UnimplementedError("not mocked");
    const auto answer_by = [&](const auto* typed, auto method) {
      if (typed == nullptr) return;
      auto response = (this->*method)(*typed);
      if (!response.ok()) {
        answer = response.status();
      } else {
        answer = std::make_unique<std::decay_t<decltype(*response)>>(
            *std::move(response));
      }
    };
    (answer_by(dynamic_cast<const Request*>(&request), mocked), ...);
    return answer;
  }
};

}  // namespace userprofile::client

#endif  // USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_
