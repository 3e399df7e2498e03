#ifndef USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_
#define USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_

#include <memory>
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
#define USERPROFILE_METHOD(Name)                        \
  MOCK_METHOD(absl::StatusOr<v1::Name##Response>, Name, \
              (const v1::Name##Request& request));
  USERPROFILE_V1_METHODS(USERPROFILE_METHOD)
#undef USERPROFILE_METHOD
  MOCK_METHOD(absl::Status, Watch,
              (v1::WatchProfilesRequest request, const OnEvent& on_event),
              (override));

  void Start(const google::protobuf::MethodDescriptor& method, Message request,
             Done<Message> done) override {
#define USERPROFILE_METHOD(Name)                                          \
  if (method.name() == #Name) {                                           \
    return done(                                                          \
        Answered(Name(static_cast<const v1::Name##Request&>(*request)))); \
  }
    USERPROFILE_V1_METHODS(USERPROFILE_METHOD)
#undef USERPROFILE_METHOD
    done(absl::UnimplementedError("not mocked"));
  }

 private:
  template <typename Response>
  static absl::StatusOr<Message> Answered(absl::StatusOr<Response> response) {
    if (!response.ok()) return response.status();
    return std::make_unique<Response>(*std::move(response));
  }
};

}  // namespace userprofile::client

#endif  // USERPROFILE_CLIENT_MOCK_PROFILE_CLIENT_H_
