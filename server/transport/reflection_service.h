#ifndef USERPROFILE_SERVER_TRANSPORT_REFLECTION_SERVICE_H_
#define USERPROFILE_SERVER_TRANSPORT_REFLECTION_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <memory>

#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "server/access/access.h"
#include "server/api/open_streams.h"

namespace userprofile::transport {

// The standard reflection protocol, for those who may know what the server can
// be asked. Knows the services of Permissions(), and every message that is
// linked into the program. Thread-safe.
class ReflectionService final
    : public grpc::reflection::v1alpha::ServerReflection::CallbackService {
 public:
  // `access` must outlive the service.
  explicit ReflectionService(access::Access& access);
  ~ReflectionService() override;

  // Ends every stream, now and later, after the answer that is under way. To be
  // called before the gRPC server shuts down, which waits for them all.
  void Shutdown();

  grpc::ServerBidiReactor<grpc::reflection::v1alpha::ServerReflectionRequest,
                          grpc::reflection::v1alpha::ServerReflectionResponse>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  class Conversation;

  access::Access& access_;
  const access::Permission& permission_;
  const std::shared_ptr<api::OpenStreams> streams_;
};

}  // namespace userprofile::transport

#endif  // USERPROFILE_SERVER_TRANSPORT_REFLECTION_SERVICE_H_
