#ifndef USERPROFILE_CLIENT_EVENT_STREAM_H_
#define USERPROFILE_CLIENT_EVENT_STREAM_H_

#include <memory>
#include <string>

#include <google/protobuf/message.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include "base/steady_time.h"

namespace userprofile::client {

using GenericStub = grpc::TemplatedGenericStub<google::protobuf::Message,
                                               google::protobuf::Message>;

// A call that is answered by a stream of messages. For one thread, which does
// the work of gRPC while it waits.
class EventStream {
 public:
  // Makes the call. `request` must outlive it.
  EventStream(GenericStub& stub, const std::string& path,
              const google::protobuf::Message& request);

  // Ends the call.
  ~EventStream();
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  // The next message; false if none comes in time, or any more. Waits for a
  // server, too. Called at least once.
  bool Next(google::protobuf::Message* message, base::SteadyTime deadline);

  // How the call ended; DEADLINE_EXCEEDED if Next() waited in vain. Once it
  // returned false.
  const grpc::Status& status();

 private:
  // Waits for what is under way; false if it failed, or takes too long.
  bool Await(base::SteadyTime deadline);

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<google::protobuf::Message,
                                                google::protobuf::Message>>
      stream_;
  const google::protobuf::Message& request_;
  bool sent_ = false;      // the request
  bool too_late_ = false;  // nothing came in time
  bool ended_ = false;
  grpc::Status status_;
};

}  // namespace userprofile::client

#endif  // USERPROFILE_CLIENT_EVENT_STREAM_H_
