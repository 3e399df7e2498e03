#include "server/transport/grpc_server.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpc/support/time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "ops/logging.h"
#include "spdlog/spdlog.h"

namespace userprofile::transport {
namespace {

// Counts into nothing while there is no server.
class FailedHandshakes {
 public:
  void CountInto(ops::Counter counter) {
    base::MutexLock lock(mutex_);
    counter_ = counter;
  }
  void Increment() {
    base::MutexLock lock(mutex_);
    counter_.Increment();
  }

 private:
  base::Mutex mutex_;
  ops::Counter counter_ ABSL_GUARDED_BY(mutex_);
};

FailedHandshakes& TheFailedHandshakes() {
  static auto& handshakes = *new FailedHandshakes;
  return handshakes;
}

// gRPC writes to stderr in a form of its own; send that the way of all logs.
// Most of what it calls errors is caused by clients: hence warnings, and few.
void LogForGrpc(gpr_log_func_args* args) {
  static auto& limiter = *new ops::LogLimiter(10, absl::Seconds(10));
  if (absl::StartsWith(args->message, "Handshake failed")) {
    TheFailedHandshakes().Increment();
  }
  if (args->severity != GPR_LOG_SEVERITY_ERROR) {
    spdlog::debug("gRPC: {}", args->message);
  } else if (limiter.Admit()) {
    spdlog::warn("gRPC: {}", args->message);
  }
}

void InitializeGrpcOnce() {
  static const bool initialized = [] {
    gpr_set_log_function(LogForGrpc);
    // What does not reach stderr at gRPC's own level costs nothing.
    if (!spdlog::should_log(spdlog::level::debug)) {
      gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
    }
    // Debian's Abseil looks for deadlocks at every lock, those of gRPC
    // included, which slows every call down.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    return true;
  }();
  (void)initialized;
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

void Configure(const GrpcServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  // gRPC would unpack a request of any size before anybody could look at it.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);

  const std::pair<const char*, int> arguments[] = {
      // What every call would pay for, and nobody uses: statistics that are not
      // served, compression of answers, and a timer that cancels a call at its
      // deadline, at which both its client and the store give it up anyway.
      {GRPC_ARG_ENABLE_CHANNELZ, 0},
      {GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0},
      {GRPC_ARG_ENABLE_DEADLINE_CHECKS, 0},
      {GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_calls_per_connection},
      {GRPC_ARG_MAX_CONNECTION_AGE_MS,
       Milliseconds(options.max_connection_age)},
      {GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
       Milliseconds(options.max_connection_age_grace)},
      {GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
       Milliseconds(options.handshake_timeout)},
      {GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time)},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout)},
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
       Milliseconds(options.min_client_ping_interval)},
  };
  for (const auto& [name, value] : arguments) {
    builder.AddChannelArgument(name, value);
  }
}

}  // namespace

GrpcServer::GrpcServer(std::unique_ptr<Listener> listener,
                       std::unique_ptr<Acceptor> acceptor,
                       std::unique_ptr<grpc::Server> server)
    : acceptor_(std::move(acceptor)),
      server_(std::move(server)),
      listener_(std::move(listener)) {}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const GrpcServerOptions& options, access::Connections& connections,
    const std::vector<grpc::Service*>& services) {
  InitializeGrpcOnce();
  USERPROFILE_ASSIGN_OR_RETURN(auto listener,
                               Listener::Listen(options.address));
  TheFailedHandshakes().CountInto(ops::Counter(
      options.metrics, "userprofile_failed_tls_handshakes_total",
      "Connections that ended because one side did not believe the other's "
      "certificate, or spoke no TLS."));
  grpc::ServerBuilder builder;
  Configure(options, builder);
  auto acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      options.credentials == nullptr ? grpc::InsecureServerCredentials()
                                     : options.credentials);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> started = builder.BuildAndStart();
  if (started == nullptr) return absl::InternalError("gRPC does not start");
  auto server = std::unique_ptr<GrpcServer>(new GrpcServer(
      std::move(listener), std::move(acceptor), std::move(started)));
  server->listener_->Start(connections, options.keepalive_timeout,
                           [acceptor = server->acceptor_.get()](int socket) {
                             Acceptor::NewConnectionParameters connection;
                             connection.fd = socket;
                             acceptor->HandleNewConnection(&connection);
                           });
  return server;
}

GrpcServer::~GrpcServer() {
  Shutdown(base::SteadyTime::InfinitePast());
  TheFailedHandshakes().CountInto(ops::Counter());
}

void GrpcServer::Shutdown(base::SteadyTime deadline) {
  listener_->StopAccepting();
  const absl::Duration left =
      std::max(deadline - base::SteadyTime::Now(), absl::ZeroDuration());
  server_->Shutdown(
      gpr_time_from_nanos(absl::ToInt64Nanoseconds(left), GPR_TIMESPAN));
}

}  // namespace userprofile::transport
