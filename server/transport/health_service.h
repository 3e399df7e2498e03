#ifndef USERPROFILE_SERVER_TRANSPORT_HEALTH_SERVICE_H_
#define USERPROFILE_SERVER_TRANSPORT_HEALTH_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <memory>

#include "grpc/health/v1/health.grpc.pb.h"
#include "ops/readiness.h"

namespace userprofile::transport {

// The standard health protocol, driven by readiness: SERVING exactly while
// ready. Knows two services, "" (the server as a whole) and
// "userprofile.v1.UserProfileService", which are always in the same state.
// Thread-safe.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // Follows `readiness`, which may outlive the service.
  explicit HealthService(ops::Readiness& readiness);
  ~HealthService() override;

  // Ends every Watch, now and later, after it was told the last state. To be
  // called before the gRPC server shuts down, which waits for them all.
  void Shutdown();

  grpc::ServerUnaryReactor* Check(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request,
      grpc::health::v1::HealthCheckResponse* response) override;

  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Board;
  class Watcher;

  // Shared with the watchers, which gRPC may finish after the service is gone,
  // and with the readiness, which never forgets a listener.
  const std::shared_ptr<Board> board_;
};

}  // namespace userprofile::transport

#endif  // USERPROFILE_SERVER_TRANSPORT_HEALTH_SERVICE_H_
