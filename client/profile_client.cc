#include "userprofile/client/profile_client.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <mutex>
#include <utility>

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/optional.h"
#include "base/read_file.h"
#include "base/steady_time.h"
#include "client/event_stream.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "userprofile/client/errors.h"

namespace userprofile::client {
namespace {

using ::google::protobuf::MessageFactory;
using ::google::protobuf::MethodDescriptor;

// Waits of 0.1, 0.3, 0.9 and 2.7 seconds, a fifth more or less: enough for the
// server to find a database that was restarted. gRPC allows no more attempts.
// CANCELLED, for nobody else cancels: so ends a call that reaches a server in
// the instant in which it stops, before its GOAWAY has arrived here. A watch
// goes on by itself.
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
  }, {
    "name": [{
      "service": "userprofile.v1.UserProfileService",
      "method": "WatchProfiles"
    }]
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
  // A connection that nobody uses is one on which the server lets nobody in: it
  // has few places for such. The next call makes one.
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, 60 * 1000);
  // Finds a connection that died without a word. Only while calls wait.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20 * 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5 * 1000);
  return grpc::CreateCustomChannel(server, credentials, arguments);
}

// A watch that is told nothing for three times as long as the server ever waits
// has lost it.
constexpr absl::Duration kSilence = absl::Seconds(30);

// Whether to go on with another stream after one that ended so. What has no
// reason is not the service's word, but that of something on the way.
bool MayGoOn(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsCancelled(status) ||
         absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status) ||
         ((absl::IsInternal(status) || absl::IsUnknown(status)) &&
          Reason(status).empty());
}

// One call, from its start to its end.
struct PendingCall {
  grpc::ClientContext context;
  ProfileClient::Message request;
  ProfileClient::Message response;
  Done<ProfileClient::Message> done;
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
        stub_(channel_) {}

  ~GrpcProfileClient() override {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return calls_under_way_ == 0; });
  }

  void Start(const MethodDescriptor& method, Message request,
             Done<Message> done) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ++calls_under_way_;
    }
    auto* call = new PendingCall{
        {}, std::move(request), NewResponse(method), std::move(done)};
    Prepare(call->context);
    stub_.UnaryCall(&call->context, PathOf(method), {}, call->request.get(),
                    call->response.get(),
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

  // By a queue of its own, for which the waiting thread works itself: callbacks
  // need one of the few threads that gRPC has for all of a process, and all of
  // them may be waiting here.
  absl::StatusOr<Message> Call(const MethodDescriptor& method,
                               Message request) override {
    grpc::ClientContext context;
    Prepare(context);
    Message response = NewResponse(method);
    grpc::Status status;
    grpc::CompletionQueue queue;
    const auto call =
        stub_.PrepareUnaryCall(&context, PathOf(method), *request, &queue);
    call->StartCall();
    call->Finish(response.get(), &status, nullptr);
    void* tag = nullptr;
    bool finished = false;
    queue.Next(&tag, &finished);
    if (!status.ok()) return ToStatus(status);
    return response;
  }

  absl::Status Watch(v1::WatchProfilesRequest request,
                     const OnEvent& on_event) override {
    constexpr absl::Duration kShortPause = absl::Milliseconds(100);
    constexpr absl::Duration kLongPause = absl::Seconds(1);
    const std::string path = PathOf(
        MethodOf("WatchProfiles", *v1::WatchProfilesRequest::descriptor(),
                 *v1::WatchProfilesResponse::descriptor()));
    absl::Duration pause = kShortPause;
    absl::Status failure;  // that a server told, since the last event
    for (base::SteadyTime lost = base::SteadyTime::Now();;) {
      EventStream events(stub_, path, request);
      v1::WatchProfilesResponse event;
      bool is_told = false;
      for (base::SteadyTime deadline = lost + timeout_;
           events.Next(&event, deadline);
           deadline = base::SteadyTime::Now() + kSilence) {
        is_told = true;
        if (!on_event(event)) return absl::OkStatus();
        request.set_resume_token(event.resume_token());
      }
      absl::Status status = ToStatus(events.status());
      if (status.ok()) status = absl::UnavailableError("the watch was ended");
      const base::SteadyTime now = base::SteadyTime::Now();
      if (is_told) {
        lost = now;
        pause = kShortPause;
        failure = absl::OkStatus();
      }
      if (failure.ok() || !absl::IsDeadlineExceeded(status)) failure = status;
      if (!MayGoOn(status) || now + pause >= lost + timeout_) return failure;
      absl::SleepFor(pause);
      pause = std::min(2 * pause, kLongPause);
    }
  }

 private:
  static Message NewResponse(const MethodDescriptor& method) {
    return Message(MessageFactory::generated_factory()
                       ->GetPrototype(method.output_type())
                       ->New());
  }

  static std::string PathOf(const MethodDescriptor& method) {
    return absl::StrCat("/", method.service()->full_name(), "/", method.name());
  }

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

  const std::string server_;
  const absl::Duration timeout_;
  const std::shared_ptr<grpc::Channel> channel_;
  GenericStub stub_;

  std::mutex mutex_;
  std::condition_variable idle_;
  int calls_under_way_ = 0;  // protected by mutex_
};

}  // namespace

absl::StatusOr<std::unique_ptr<ProfileClient>> MakeProfileClient(
    const std::string& server, const ClientOptions& options) {
  const auto credentials = MakeCredentials(options);
  if (!credentials.ok()) return credentials.status();
  return std::make_unique<GrpcProfileClient>(server, options, *credentials);
}

absl::StatusOr<ProfileClient::Message> ProfileClient::Call(
    const MethodDescriptor& method, Message request) {
  // Shared with the callback, which may still be in it once the answer is here.
  const auto answer = std::make_shared<std::promise<absl::StatusOr<Message>>>();
  Start(method, std::move(request), [answer](absl::StatusOr<Message> response) {
    answer->set_value(std::move(response));
  });
  return answer->get_future().get();
}

absl::Status ProfileClient::Watch(v1::WatchProfilesRequest /*request*/,
                                  const OnEvent& /*on_event*/) {
  return absl::UnimplementedError("this client has no watch");
}

const MethodDescriptor& ProfileClient::MethodOf(
    const char* name, const google::protobuf::Descriptor& request,
    const google::protobuf::Descriptor& response) {
  const MethodDescriptor* method = v1::UpsertUserRequest::descriptor()
                                       ->file()
                                       ->FindServiceByName("UserProfileService")
                                       ->FindMethodByName(name);
  // A mistake in the list of methods, which no client gets past.
  if (method == nullptr || method->input_type() != &request ||
      method->output_type() != &response) {
    std::abort();
  }
  return *method;
}

absl::StatusOr<Recognition> ProfileClient::Recognize(
    const v1::UpsertUserRequest& contact) {
  const absl::StatusOr<v1::UpsertUserResponse> response = UpsertUser(contact);
  if (!response.ok()) return response.status();
  return RecognitionOf(*response);
}

void ProfileClient::Recognize(v1::UpsertUserRequest contact,
                              Done<Recognition> done) {
  UpsertUser(
      std::move(contact),
      [done = std::move(done)](
          const absl::StatusOr<v1::UpsertUserResponse>& response) mutable {
        if (!response.ok()) return done(response.status());
        done(RecognitionOf(*response));
      });
}

const char* RecognitionName(Recognition recognition) {
  switch (recognition) {
    case Recognition::kNew:
      return "new";
    case Recognition::kReturning:
      return "returning";
    case Recognition::kOnboarded:
      return "onboarded";
  }
  return "";
}

Recognition RecognitionOf(const v1::UpsertUserResponse& response) {
  if (response.created()) return Recognition::kNew;
  return response.profile().onboarding_completed() ? Recognition::kOnboarded
                                                   : Recognition::kReturning;
}

std::string Reason(const absl::Status& status) {
  const absl::optional<absl::Cord> payload =
      status.GetPayload("type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::ErrorInfo info;
  if (!payload || !info.ParseFromString(std::string(*payload))) return "";
  return info.reason();
}

bool IsRefused(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
         absl::IsAlreadyExists(status) || absl::IsFailedPrecondition(status) ||
         Reason(status) == "ROW_REJECTED";
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  google::rpc::Status whole;
  // Details that can't be read are no reason to lose the code.
  if (!whole.ParseFromString(status.error_details())) whole.Clear();
  whole.set_code(status.error_code());
  whole.set_message(status.error_message());
  return FromRpcStatus(whole);
}

absl::Status FromRpcStatus(const google::rpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.code()),
                      status.message());
  for (const google::protobuf::Any& detail : status.details()) {
    result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return result;
}

}  // namespace userprofile::client
