#include "server/service/user_profile_service.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/service/request_parser.h"
#include "server/service/validation.h"

namespace userprofile::service {
namespace {

ops::Recognition RecognitionOf(const v1::UpsertUserResponse& response) {
  if (response.created()) return ops::Recognition::kCreated;
  return response.profile().onboarding_completed()
             ? ops::Recognition::kOnboarded
             : ops::Recognition::kReturning;
}

}  // namespace

UserProfileService::UserProfileService(store::ProfileStore& store,
                                       const ops::Readiness& readiness,
                                       ops::Metrics& metrics, Access& access,
                                       const UserProfileServiceOptions& options)
    : store_(store),
      readiness_(readiness),
      metrics_(metrics),
      limits_(options.limits),
      log_(options.slow_request, options.recent_failures),
      upsert_user_(MakeMethod("UpsertUser", access, options.max_timeout)),
      get_profile_(MakeMethod("GetProfile", access, options.max_timeout)),
      complete_onboarding_(
          MakeMethod("CompleteOnboarding", access, options.max_timeout)) {}

Method UserProfileService::MakeMethod(const char* name, Access& access,
                                      absl::Duration max_timeout) {
  const Permission* const permission = FindPermission(absl::StrCat(
      "/", v1::UserProfileService::service_full_name(), "/", name));
  return {name, metrics_.Rpc(name), log_, access, *permission, max_timeout};
}

template <typename Call>
absl::Status UserProfileService::Admit(
    const grpc::CallbackServerContext& context, const grpc::ByteBuffer& bytes,
    Call* call) {
  USERPROFILE_RETURN_IF_ERROR(call->admission());
  USERPROFILE_RETURN_IF_ERROR(
      limits_.Admit(context, call->caller(), bytes.Length(), call->bytes()));
  NotUtf8 not_utf8;
  USERPROFILE_RETURN_IF_ERROR(ParseRequest(bytes, call->request(), &not_utf8));
  USERPROFILE_RETURN_IF_ERROR(Validate(call->request(), not_utf8));
  return readiness_.AdmitRequest();
}

grpc::ServerUnaryReactor* UserProfileService::UpsertUser(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* answer) {
  auto* call = UnaryCall<v1::UpsertUserRequest, v1::UpsertUserResponse>::Start(
      upsert_user_, context, answer);
  if (absl::Status status = Admit(*context, *request, call); !status.ok()) {
    call->Answer(status);
    return call;
  }
  store_.UpsertUser(
      *call->request(), call->response(), call->context(),
      [this, call](absl::Status status) {
        if (status.ok()) {
          metrics_.CountRecognition(RecognitionOf(*call->response()));
        }
        call->Answer(status);
      });
  return call;
}

grpc::ServerUnaryReactor* UserProfileService::GetProfile(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* answer) {
  auto* call = UnaryCall<v1::GetProfileRequest, v1::GetProfileResponse>::Start(
      get_profile_, context, answer);
  if (absl::Status status = Admit(*context, *request, call); !status.ok()) {
    call->Answer(status);
    return call;
  }
  store_.GetProfile(*call->request(), call->response(), call->context(),
                    [call](absl::Status status) { call->Answer(status); });
  return call;
}

grpc::ServerUnaryReactor* UserProfileService::CompleteOnboarding(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* answer) {
  auto* call =
      UnaryCall<v1::CompleteOnboardingRequest,
                v1::CompleteOnboardingResponse>::Start(complete_onboarding_,
                                                       context, answer);
  if (absl::Status status = Admit(*context, *request, call); !status.ok()) {
    call->Answer(status);
    return call;
  }
  store_.CompleteOnboarding(
      *call->request(), call->response(), call->context(),
      [this, call](absl::Status status) {
        if (status.ok()) {
          metrics_.CountOnboarding(call->response()->already_completed());
        }
        call->Answer(status);
      });
  return call;
}

}  // namespace userprofile::service
