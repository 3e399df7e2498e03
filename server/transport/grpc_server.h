#ifndef USERPROFILE_SERVER_TRANSPORT_GRPC_SERVER_H_
#define USERPROFILE_SERVER_TRANSPORT_GRPC_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/steady_time.h"
#include "ops/metrics.h"
#include "server/access/connections.h"
#include "server/transport/listener.h"

namespace userprofile::transport {

// How the gRPC server behaves towards clients.
struct GrpcServerOptions {
  // "HOST:PORT" or "unix:PATH"; port 0 takes a free one.
  std::string address = "127.0.0.1:50051";

  // How connections are encrypted; null for not at all.
  std::shared_ptr<grpc::ServerCredentials> credentials = nullptr;

  // Where failed handshakes of TLS are counted; may be null. gRPC tells of them
  // in its log alone, which is that of the process: with several servers the
  // last one counts those of all.
  ops::Metrics* metrics = nullptr;

  // Larger requests are refused with RESOURCE_EXHAUSTED.
  int max_request_bytes = 96 * 1024;

  // Calls that one connection may have in flight; further ones wait at the
  // client, where they cost the server nothing.
  int max_calls_per_connection = 64;

  // A connection is closed at this age, so that clients come to know of servers
  // that were added since; calls in flight then get the grace to finish.
  absl::Duration max_connection_age = absl::Minutes(10);
  absl::Duration max_connection_age_grace = absl::Seconds(30);

  // After so much silence a client is asked whether it is still there, and
  // given up when it does not answer in time.
  absl::Duration keepalive_time = absl::Minutes(1);
  absl::Duration keepalive_timeout = absl::Seconds(20);

  // A new connection has this long for its handshakes, of TLS and of HTTP/2.
  absl::Duration handshake_timeout = absl::Seconds(20);

  // Clients may send keepalive pings this often, also when idle; gRPC's own
  // limit, five minutes, breaks connections of clients that care about them.
  absl::Duration min_client_ping_interval = absl::Seconds(5);
};

// A running gRPC server: the given services, which answer by callbacks. Refuses
// compressed requests. Thread-safe.
class GrpcServer {
 public:
  // Starts to listen. The services, and `connections`, which are to be told by
  // the services whom they let in, must outlive the server.
  // FAILED_PRECONDITION if the address can't be listened on.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const GrpcServerOptions& options, access::Connections& connections,
      const std::vector<grpc::Service*>& services);

  // Cancels what is in flight.
  ~GrpcServer();

  // The address that it listens on, as it was given but with the real port.
  const std::string& address() const { return listener_->address(); }

  // Takes no new calls, waits for those in flight, and cancels at `deadline`
  // what is left of them. Returns only when each has been answered, so streams
  // that end by themselves never must be ended first (HealthService::Shutdown,
  // ReflectionService::Shutdown).
  void Shutdown(base::SteadyTime deadline);

 private:
  // gRPC's way to take a connection that others have accepted.
  using Acceptor = grpc::experimental::ExternalConnectionAcceptor;

  GrpcServer(std::unique_ptr<Listener> listener,
             std::unique_ptr<Acceptor> acceptor,
             std::unique_ptr<grpc::Server> server);

  const std::unique_ptr<Acceptor> acceptor_;
  const std::unique_ptr<grpc::Server> server_;
  const std::unique_ptr<Listener> listener_;
};

}  // namespace userprofile::transport

#endif  // USERPROFILE_SERVER_TRANSPORT_GRPC_SERVER_H_
