#ifndef USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_
#define USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_

#include <gmock/gmock.h>

#include "userprofile/client/profile_client.h"

namespace userprofile::client {

// A ProfileClient for tests of what calls it, with GoogleMock. Recognize() is
// as ever: it says what UpsertUser's answer means.
//
//   MockProfileClient service;
//   v1::UpsertUserResponse known;
//   known.mutable_profile()->set_onboarding_completed(true);
//   EXPECT_CALL(service, UpsertUser(_)).WillOnce(Return(known));
class MockProfileClient : public ProfileClient {
 public:
  MOCK_METHOD(absl::StatusOr<v1::UpsertUserResponse>, UpsertUser,
              (const v1::UpsertUserRequest& request), (override));
  MOCK_METHOD(void, UpsertUser,
              (v1::UpsertUserRequest request,
               Done<v1::UpsertUserResponse> done),
              (override));
  MOCK_METHOD(absl::StatusOr<v1::GetProfileResponse>, GetProfile,
              (const v1::GetProfileRequest& request), (override));
  MOCK_METHOD(void, GetProfile,
              (v1::GetProfileRequest request,
               Done<v1::GetProfileResponse> done),
              (override));
  MOCK_METHOD(absl::StatusOr<v1::CompleteOnboardingResponse>,
              CompleteOnboarding,
              (const v1::CompleteOnboardingRequest& request), (override));
  MOCK_METHOD(void, CompleteOnboarding,
              (v1::CompleteOnboardingRequest request,
               Done<v1::CompleteOnboardingResponse> done),
              (override));
};

}  // namespace userprofile::client

#endif  // USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_
