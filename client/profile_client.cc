#include "userprofile/client/profile_client.h"

#include <condition_variable>
#include <mutex>
#include <utility>

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "userprofile/client/errors.h"
#include "userprofile/v1/user_profile_service.grpc.pb.h"

namespace userprofile::client {
namespace {

// Waits of 0.1, 0.3, 0.9 and 2.7 seconds, a fifth more or less: enough for the
// server to find a database that was restarted. gRPC allows no more attempts.
// CANCELLED, for nobody else cancels: so ends a call that reaches a server in
// the instant in which it stops, before its GOAWAY has arrived here.
constexpr char kServiceConfig[] = R"({
  "loadBalancingConfig": [{"round_robin": {}}],
  "methodConfig": [{
    "name": [{"service": "userprofile.v1.UserProfileService"}],
    "retryPolicy": {
      "maxAttempts": 5,
      "initialBackoff": "0.1s",
      "maxBackoff": "3s",
      "backoffMultiplier": 3,
      "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"]
    }
  }]
})";

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const ClientOptions& options) {
  if (!options.tls) {
    if (options.token.empty()) return grpc::InsecureChannelCredentials();
    return absl::InvalidArgumentError(
        "a token needs TLS: everybody on the way could read it");
  }
  const TlsOptions& tls = *options.tls;
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate and its key are given together");
  }
  grpc::SslCredentialsOptions ssl;
  for (const auto& [path, pem] : {std::pair{&tls.ca_file, &ssl.pem_root_certs},
                                  {&tls.certificate_file, &ssl.pem_cert_chain},
                                  {&tls.key_file, &ssl.pem_private_key}}) {
    if (path->empty()) continue;
    absl::StatusOr<std::string> content = base::ReadSettingsFile(*path);
    if (!content.ok()) return content.status();
    *pem = *std::move(content);
  }
  auto credentials = grpc::SslCredentials(ssl);
  if (options.token.empty()) return credentials;
  return grpc::CompositeChannelCredentials(
      credentials, grpc::AccessTokenCredentials(options.token));
}

std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& server,
    const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
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
  return grpc::CreateCustomChannel(server, credentials, arguments);
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

// The real client: one gRPC channel.
class GrpcProfileClient final : public ProfileClient {
 public:
  GrpcProfileClient(
      const std::string& server, const ClientOptions& options,
      const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : server_(server),
        timeout_(options.timeout),
        channel_(MakeChannel(server, credentials)),
        stub_(v1::UserProfileService::NewStub(channel_)) {}

  ~GrpcProfileClient() override {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return calls_under_way_ == 0; });
  }

  absl::StatusOr<v1::UpsertUserResponse> UpsertUser(
      const v1::UpsertUserRequest& request) override {
    return Call<v1::UpsertUserResponse>(kUpsertUser, request);
  }
  void UpsertUser(v1::UpsertUserRequest request,
                  Done<v1::UpsertUserResponse> done) override {
    Start(kUpsertUser, std::move(request), std::move(done));
  }

  absl::StatusOr<v1::GetProfileResponse> GetProfile(
      const v1::GetProfileRequest& request) override {
    return Call<v1::GetProfileResponse>(kGetProfile, request);
  }
  void GetProfile(v1::GetProfileRequest request,
                  Done<v1::GetProfileResponse> done) override {
    Start(kGetProfile, std::move(request), std::move(done));
  }

  absl::StatusOr<v1::CompleteOnboardingResponse> CompleteOnboarding(
      const v1::CompleteOnboardingRequest& request) override {
    return Call<v1::CompleteOnboardingResponse>(kCompleteOnboarding, request);
  }
  void CompleteOnboarding(v1::CompleteOnboardingRequest request,
                          Done<v1::CompleteOnboardingResponse> done) override {
    Start(kCompleteOnboarding, std::move(request), std::move(done));
  }

 private:
  void Prepare(grpc::ClientContext& context) const {
    context.set_wait_for_ready(true);
    context.set_deadline(
        gpr_time_from_nanos(absl::ToInt64Nanoseconds(timeout_), GPR_TIMESPAN));
  }

  absl::Status ToStatus(const grpc::Status& status) const {
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
        channel_->GetState(false) != GRPC_CHANNEL_READY) {
      return absl::DeadlineExceededError(
          absl::StrCat("no connection to ", server_, " within ",
                       absl::FormatDuration(timeout_)));
    }
    return FromGrpcStatus(status);
  }

  template <typename Response, typename Request, typename Method>
  absl::StatusOr<Response> Call(Method method, const Request& request) {
    grpc::ClientContext context;
    Prepare(context);
    Response response;
    const grpc::Status status =
        method(stub_.get(), &context, std::cref(request), &response);
    if (!status.ok()) return ToStatus(status);
    return response;
  }

  template <typename Response, typename Request, typename Method>
  void Start(Method method, Request request, Done<Response> done) {
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

  const std::string server_;
  const absl::Duration timeout_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::UserProfileService::Stub> stub_;

  std::mutex mutex_;
  std::condition_variable idle_;
  int calls_under_way_ = 0;  // those with a callback; protected by mutex_
};

}  // namespace

absl::StatusOr<std::unique_ptr<ProfileClient>> MakeProfileClient(
    const std::string& server, const ClientOptions& options) {
  const auto credentials = MakeCredentials(options);
  if (!credentials.ok()) return credentials.status();
  return std::make_unique<GrpcProfileClient>(server, options, *credentials);
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

}  // namespace userprofile::client
