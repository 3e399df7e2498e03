#include "server/api/user_profile_service.h"

#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/api/batch_row.h"
#include "server/api/list_profiles.h"
#include "server/api/unary_call.h"
#include "server/api/update_mask.h"
#include "server/api/watch_call.h"

namespace userprofile::api {
namespace {

using store::ProfileStore;
using store::Verb;

std::function<void(const v1::UpsertUserResponse&)> CountRecognitions(
    ops::Metrics& metrics) {
  const auto counter = [&](const char* outcome) {
    return ops::Counter(
        &metrics, "userprofile_recognitions_total",
        "Contacts answered, by what the user was recognized as.",
        {{"outcome", outcome}});
  };
  return [created = counter("created"), returning = counter("returning"),
          onboarded = counter("onboarded")](const auto& response) {
    const ops::Counter& outcome = response.created() ? created
                                  : response.profile().onboarding_completed()
                                      ? onboarded
                                      : returning;
    outcome.Increment();
  };
}

std::function<void(const v1::CompleteOnboardingResponse&)> CountOnboardings(
    ops::Metrics& metrics) {
  const auto counter = [&](const char* outcome) {
    return ops::Counter(
        &metrics, "userprofile_onboardings_total",
        "CompleteOnboarding calls answered with OK, by whether the user had "
        "completed it before.",
        {{"outcome", outcome}});
  };
  return [completed = counter("completed"),
          repeated = counter("repeated")](const auto& response) {
    (response.already_completed() ? repeated : completed).Increment();
  };
}

// The methods of the API.
std::vector<MethodRow> Rows(ops::Metrics& metrics,
                            const UserProfileServiceOptions& options) {
  const MethodRow upsert =
      Row("UpsertUser", Verb::kContact, &ProfileStore::Contact,
          CountRecognitions(metrics));
  MethodRow update =
      Row("UpdateProfile", Verb::kEdit, &ProfileStore::UpdateProfile);
  update.prepare = [](google::protobuf::Message* request) {
    return ApplyUpdateMask(static_cast<v1::UpdateProfileRequest*>(request));
  };
  return {
      upsert,
      BatchRow<v1::BatchUpsertUsersRequest, v1::BatchUpsertUsersResponse>(
          "BatchUpsertUsers", upsert, metrics),
      Row("GetProfile", Verb::kRead, &ProfileStore::GetProfile),
      Row("BatchGetProfiles", Verb::kRead, &ProfileStore::BatchGetProfiles),
      Row("LookupProfile", Verb::kFind, &ProfileStore::LookupProfile),
      ListProfilesRow(options.list_timeout),
      CountProfilesRow(),
      Row("CompleteOnboarding", Verb::kEdit, &ProfileStore::CompleteOnboarding,
          CountOnboardings(metrics)),
      update,
      Row("DeleteUser", Verb::kEdit, &ProfileStore::DeleteUser),
      Row("GetSession", Verb::kSession, &ProfileStore::GetSession),
      Row("PutSession", Verb::kSession, &ProfileStore::PutSession),
      Row("DeleteSession", Verb::kSession, &ProfileStore::DeleteSession),
  };
}

}  // namespace

RpcMetrics::RpcMetrics(ops::Metrics* metrics, const std::string& method)
    : latency_(metrics, "userprofile_rpc_duration_seconds",
               "Time from the arrival of a call to its answer, by method.",
               {{"method", method}}),
      in_flight_(metrics, "userprofile_rpc_in_flight",
                 "Calls not answered yet, by method.", {{"method", method}}) {
  for (std::size_t code = 0; code < requests_.size(); ++code) {
    requests_[code] = ops::Counter(
        metrics, "userprofile_rpc_requests_total",
        "Calls answered, by method and status code.",
        {{"method", method},
         {"code",
          absl::StatusCodeToString(static_cast<absl::StatusCode>(code))}});
  }
}

void RpcMetrics::CountFinished(absl::StatusCode code,
                               absl::Duration latency) const {
  CountWithin(code);
  latency_.Observe(latency);
  in_flight_.Add(-1);
}

void RpcMetrics::CountWithin(absl::StatusCode code) const {
  auto index = static_cast<std::size_t>(code);
  if (index >= requests_.size()) {
    index = static_cast<std::size_t>(absl::StatusCode::kUnknown);
  }
  requests_[index].Increment();
}

Method::Method(MethodRow its_row, const MethodContext& its_context)
    : row(std::move(its_row)),
      context(its_context),
      path(absl::StrCat("/userprofile.v1.UserProfileService/", row.name)),
      permission(*access::FindPermission(path)),
      metrics(&context.metrics, row.name),
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
      log_(options.slow_request, options.recent_failures),
      watchers_(Watchers::Make(store, readiness, options.watch, &metrics)) {
  const MethodContext context = {readiness,
                                 metrics,
                                 access,
                                 limits_,
                                 log_,
                                 deadlines_,
                                 options.connections,
                                 options.max_timeout};
  for (MethodRow& row : Rows(metrics, options)) {
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
  const Method& watch = methods_.emplace_back(
      MethodRow{"WatchProfiles", Verb::kScan,
                v1::WatchProfilesRequest::default_instance(),
                v1::WatchProfilesResponse::default_instance()},
      context);
  AddMethod(new grpc::internal::RpcServiceMethod(
      watch.path.c_str(), grpc::internal::RpcMethod::SERVER_STREAMING,
      nullptr));
  MarkMethodRawCallback(
      static_cast<int>(methods_.size()) - 1,
      new grpc::internal::CallbackServerStreamingHandler<grpc::ByteBuffer,
                                                         grpc::ByteBuffer>(
          [&watch, &store, watchers = watchers_](
              grpc::CallbackServerContext* call,
              const grpc::ByteBuffer* request) {
            return WatchCall::Start(watch, store, watchers, call, *request);
          }));
}

UserProfileService::~UserProfileService() {
  Shutdown();
  watchers_->Stop();
}

void UserProfileService::Shutdown() { watchers_->Close(); }

}  // namespace userprofile::api
