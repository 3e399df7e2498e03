#ifndef USERPROFILE_SERVER_SERVICE_USER_PROFILE_SERVICE_H_
#define USERPROFILE_SERVER_SERVICE_USER_PROFILE_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "absl/time/time.h"
#include "server/ops/metrics.h"
#include "server/ops/readiness.h"
#include "server/ops/recent_failures.h"
#include "server/service/access.h"
#include "server/service/call_limits.h"
#include "server/service/request_log.h"
#include "server/service/unary_call.h"
#include "server/store/profile_store.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::service {

// The generated service with raw methods: requests arrive as bytes, because
// gRPC would answer UNIMPLEMENTED to text that is not UTF-8 before a handler
// could say which field is at fault.
using RawUserProfileService =
    v1::UserProfileService::WithRawCallbackMethod_UpsertUser<
        v1::UserProfileService::WithRawCallbackMethod_GetProfile<
            v1::UserProfileService::WithRawCallbackMethod_CompleteOnboarding<
                v1::UserProfileService::Service>>>;

// How the service treats calls.
struct UserProfileServiceOptions {
  // What a call gets whose deadline is further away, or that has none.
  absl::Duration max_timeout = absl::Seconds(10);

  CallLimitOptions limits;

  // See RequestLog.
  absl::Duration slow_request = absl::Seconds(1);
  ops::RecentFailures* recent_failures = nullptr;
};

// The API: lets each caller in or not, checks the request, asks `readiness`
// whether it may be tried, and leaves it to the store. Thread-safe; never
// blocks.
class UserProfileService final : public RawUserProfileService {
 public:
  // All of them must outlive the service.
  UserProfileService(store::ProfileStore& store,
                     const ops::Readiness& readiness, ops::Metrics& metrics,
                     Access& access,
                     const UserProfileServiceOptions& options = {});

  grpc::ServerUnaryReactor* UpsertUser(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* GetProfile(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* answer) override;
  grpc::ServerUnaryReactor* CompleteOnboarding(
      grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
      grpc::ByteBuffer* answer) override;

 private:
  Method MakeMethod(const char* name, Access& access,
                    absl::Duration max_timeout);

  template <typename Call>
  absl::Status Admit(const grpc::CallbackServerContext& context,
                     const grpc::ByteBuffer& bytes, Call* call);

  store::ProfileStore& store_;
  const ops::Readiness& readiness_;
  ops::Metrics& metrics_;
  CallLimits limits_;
  RequestLog log_;
  const Method upsert_user_;
  const Method get_profile_;
  const Method complete_onboarding_;
};

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_USER_PROFILE_SERVICE_H_
