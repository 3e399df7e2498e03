#ifndef USERPROFILE_SERVER_API_TESTING_H_
#define USERPROFILE_SERVER_API_TESTING_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/types/optional.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/store/profile_store.h"

// What the tests of this folder share.
namespace userprofile::api {

// The paths that a BadRequest names, in order; empty if there is none.
inline std::vector<std::string> FieldsOf(
    const google::rpc::BadRequest& bad_request) {
  std::vector<std::string> fields;
  for (const auto& violation : bad_request.field_violations()) {
    fields.push_back(violation.field());
  }
  return fields;
}

inline std::vector<std::string> FieldsOf(const absl::Status& status) {
  google::rpc::BadRequest bad_request;
  const auto payload =
      status.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  if (payload) bad_request.ParseFromString(std::string(*payload));
  return FieldsOf(bad_request);
}

// The details of an error as a client sees them.
inline google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  return details;
}

// The detail of that type; its default if there is none.
template <typename Detail>
Detail DetailOf(const grpc::Status& status) {
  Detail detail;
  const google::rpc::Status details = DetailsOf(status);
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&detail)) return detail;
  }
  return detail;
}

inline std::string ReasonOf(const grpc::Status& status) {
  return DetailOf<google::rpc::ErrorInfo>(status).reason();
}

inline std::vector<std::string> FieldsOf(const grpc::Status& status) {
  return FieldsOf(DetailOf<google::rpc::BadRequest>(status));
}

// A store whose answers are given by the test. Called from any thread.
class ScriptedStore final : public store::ProfileStore {
 public:
  template <typename Request, typename Response>
  using Script = std::function<void(const Request&, Response*,
                                    store::CallContext, store::Done)>;

  Script<v1::UpsertUserRequest, v1::UpsertUserResponse> upsert_user =
      [](const auto& request, auto* response, auto, auto done) {
        response->mutable_profile()->set_user_id(request.user_id());
        done(absl::OkStatus());
      };
  Script<v1::GetProfileRequest, v1::GetProfileResponse> get_profile =
      [](const auto& request, auto* response, auto, auto done) {
        response->mutable_profile()->set_user_id(request.user_id());
        done(absl::OkStatus());
      };
  Script<v1::CompleteOnboardingRequest, v1::CompleteOnboardingResponse>
      complete_onboarding =
          [](const auto& request, auto* response, auto, auto done) {
            response->mutable_profile()->set_user_id(request.user_id());
            done(absl::OkStatus());
          };

  void UpsertUser(const v1::UpsertUserRequest& request,
                  v1::UpsertUserResponse* response, store::CallContext context,
                  store::Done done) override {
    upsert_user(request, response, std::move(context), std::move(done));
  }
  void GetProfile(const v1::GetProfileRequest& request,
                  v1::GetProfileResponse* response, store::CallContext context,
                  store::Done done) override {
    get_profile(request, response, std::move(context), std::move(done));
  }
  void CompleteOnboarding(const v1::CompleteOnboardingRequest& request,
                          v1::CompleteOnboardingResponse* response,
                          store::CallContext context,
                          store::Done done) override {
    complete_onboarding(request, response, std::move(context), std::move(done));
  }
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_TESTING_H_
