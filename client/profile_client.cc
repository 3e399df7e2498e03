#include "client/profile_client.h"

#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/errors.h"

namespace userprofile::client {
namespace {

// Waits of 0.1, 0.3, 0.9 and 2.7 seconds, a fifth more or less: enough for the
// server to find a database that was restarted. gRPC allows no more attempts.
constexpr char kServiceConfig[] = R"({
  "methodConfig": [{
    "name": [{"service": "userprofile.v1.UserProfileService"}],
    "retryPolicy": {
      "maxAttempts": 5,
      "initialBackoff": "0.1s",
      "maxBackoff": "3s",
      "backoffMultiplier": 3,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
})";

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& server) {
  grpc::ChannelArguments arguments;
  arguments.SetServiceConfigJSON(kServiceConfig);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // gRPC's own waits between two attempts to connect grow to two minutes: a
  // server that is back would stay unseen for longer than any call lasts.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Finds a connection that died without a word. Only while calls wait.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20 * 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5 * 1000);
  return grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(),
                                   arguments);
}

// One call with a callback, from its start to its end.
template <typename Request, typename Response>
struct PendingCall {
  grpc::ClientContext context;
  Request request;
  Response response;
  Done<Response> done;
};

// The stub's methods are overloaded; these name the one that is meant.
constexpr auto kUpsertUser = [](auto* stub, auto... arguments) {
  return stub->UpsertUser(std::move(arguments)...);
};
constexpr auto kGetProfile = [](auto* stub, auto... arguments) {
  return stub->GetProfile(std::move(arguments)...);
};
constexpr auto kCompleteOnboarding = [](auto* stub, auto... arguments) {
  return stub->CompleteOnboarding(std::move(arguments)...);
};

}  // namespace

ProfileClient::ProfileClient(const std::string& server,
                             const ClientOptions& options)
    : server_(server),
      options_(options),
      channel_(MakeChannel(server)),
      stub_(v1::UserProfileService::NewStub(channel_)) {}

ProfileClient::~ProfileClient() {
  std::unique_lock<std::mutex> lock(mutex_);
  idle_.wait(lock, [this] { return calls_under_way_ == 0; });
}

void ProfileClient::Prepare(grpc::ClientContext& context) const {
  context.set_wait_for_ready(true);
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.timeout));
}

absl::Status ProfileClient::ToStatus(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      channel_->GetState(false) != GRPC_CHANNEL_READY) {
    return absl::DeadlineExceededError(
        absl::StrCat("no connection to ", server_, " within ",
                     absl::FormatDuration(options_.timeout)));
  }
  return FromGrpcStatus(status);
}

template <typename Response, typename Request, typename Method>
absl::StatusOr<Response> ProfileClient::Call(Method method,
                                             const Request& request) {
  grpc::ClientContext context;
  Prepare(context);
  Response response;
  const grpc::Status status =
      method(stub_.get(), &context, std::cref(request), &response);
  if (!status.ok()) return ToStatus(status);
  return response;
}

template <typename Response, typename Request, typename Method>
void ProfileClient::Start(Method method, Request request, Done<Response> done) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++calls_under_way_;
  }
  auto* call = new PendingCall<Request, Response>{
      {}, std::move(request), {}, std::move(done)};
  Prepare(call->context);
  method(stub_->async(), &call->context, &call->request, &call->response,
         [this, call](const grpc::Status& status) {
           if (status.ok()) {
             call->done(std::move(call->response));
           } else {
             call->done(ToStatus(status));
           }
           delete call;
           std::lock_guard<std::mutex> lock(mutex_);
           if (--calls_under_way_ == 0) idle_.notify_all();
         });
}

absl::StatusOr<Recognition> ProfileClient::Recognize(
    const v1::UpsertUserRequest& contact) {
  const absl::StatusOr<v1::UpsertUserResponse> response = UpsertUser(contact);
  if (!response.ok()) return response.status();
  return RecognitionOf(*response);
}

void ProfileClient::Recognize(v1::UpsertUserRequest contact,
                              Done<Recognition> done) {
  UpsertUser(std::move(contact),
             [done = std::move(done)](
                 absl::StatusOr<v1::UpsertUserResponse> response) mutable {
               if (response.ok()) {
                 done(RecognitionOf(*response));
               } else {
                 done(response.status());
               }
             });
}

absl::StatusOr<v1::UpsertUserResponse> ProfileClient::UpsertUser(
    const v1::UpsertUserRequest& request) {
  return Call<v1::UpsertUserResponse>(kUpsertUser, request);
}

void ProfileClient::UpsertUser(v1::UpsertUserRequest request,
                               Done<v1::UpsertUserResponse> done) {
  Start(kUpsertUser, std::move(request), std::move(done));
}

absl::StatusOr<v1::GetProfileResponse> ProfileClient::GetProfile(
    const v1::GetProfileRequest& request) {
  return Call<v1::GetProfileResponse>(kGetProfile, request);
}

void ProfileClient::GetProfile(v1::GetProfileRequest request,
                               Done<v1::GetProfileResponse> done) {
  Start(kGetProfile, std::move(request), std::move(done));
}

absl::StatusOr<v1::CompleteOnboardingResponse>
ProfileClient::CompleteOnboarding(
    const v1::CompleteOnboardingRequest& request) {
  return Call<v1::CompleteOnboardingResponse>(kCompleteOnboarding, request);
}

void ProfileClient::CompleteOnboarding(
    v1::CompleteOnboardingRequest request,
    Done<v1::CompleteOnboardingResponse> done) {
  Start(kCompleteOnboarding, std::move(request), std::move(done));
}

}  // namespace userprofile::client
