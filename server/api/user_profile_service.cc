#include "server/api/user_profile_service.h"

#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/api/unary_call.h"

namespace userprofile::api {
namespace {

using store::ProfileStore;

void CountRecognition(const v1::UpsertUserResponse& response,
                      ops::Metrics& metrics) {
  metrics.CountRecognition(response.created() ? ops::Recognition::kCreated
                           : response.profile().onboarding_completed()
                               ? ops::Recognition::kOnboarded
                               : ops::Recognition::kReturning);
}

void CountOnboarding(const v1::CompleteOnboardingResponse& response,
                     ops::Metrics& metrics) {
  metrics.CountOnboarding(response.already_completed());
}

// The methods of the API.
std::vector<MethodRow> Rows() {
  return {
      Row("UpsertUser", &ProfileStore::Contact, CountRecognition),
      Row("GetProfile", &ProfileStore::GetProfile),
      Row("CompleteOnboarding", &ProfileStore::CompleteOnboarding,
          CountOnboarding),
  };
}

}  // namespace

Method::Method(MethodRow its_row, const MethodContext& its_context)
    : row(std::move(its_row)),
      context(its_context),
      path(absl::StrCat("/userprofile.v1.UserProfileService/", row.name)),
      permission(*access::FindPermission(path)),
      metrics(context.metrics.Rpc(row.name)),
      validator(*row.request.GetDescriptor()),
      personal_data(*row.response.GetDescriptor()) {}

// Registers each method as the generated code does for raw callback methods:
// requests arrive as bytes, because gRPC would answer UNIMPLEMENTED to those
// that are no such message. See docs/adr/0006-raw-callback-methods.md.
UserProfileService::UserProfileService(ProfileStore& store,
                                       const ops::Readiness& readiness,
                                       ops::Metrics& metrics,
                                       access::Access& access,
                                       const UserProfileServiceOptions& options)
    : limits_(options.limits),
      log_(options.slow_request, options.recent_failures) {
  const MethodContext context = {readiness, metrics, access,
                                 limits_,   log_,    options.max_timeout};
  for (MethodRow& row : Rows()) {
    const Method& method = methods_.emplace_back(std::move(row), context);
    AddMethod(new grpc::internal::RpcServiceMethod(
        method.path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
    MarkMethodRawCallback(
        static_cast<int>(methods_.size()) - 1,
        new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer,
                                                 grpc::ByteBuffer>(
            [&method, &store](grpc::CallbackServerContext* call,
                              const grpc::ByteBuffer* request,
                              grpc::ByteBuffer* answer) {
              return UnaryCall::Start(method, store, call, *request, answer);
            }));
  }
}

}  // namespace userprofile::api
