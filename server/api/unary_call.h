#ifndef USERPROFILE_SERVER_API_UNARY_CALL_H_
#define USERPROFILE_SERVER_API_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/steady_time.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/message.h"
#include "server/access/authorization.h"
#include "server/api/call_limits.h"
#include "server/api/method.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// A deadline of gRPC's, by whatever clock, also one beyond its end.
base::SteadyTime ToSteadyTime(gpr_timespec time);

// One call of a unary method, from its arrival until gRPC is done with it; then
// it deletes itself. Its messages live on an arena of its own.
//
// The trailer `traceparent` is the caller's header of that name; where there is
// none that can be used, one is made for calls that are logged, and only those.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  // Makes the call and carries it out: lets the caller in or not, parses and
  // checks the request, and leaves it to the store. It is answered once, on any
  // thread, perhaps before Start returns. `method` must outlive it.
  static UnaryCall* Start(const Method& method, store::ProfileStore& store,
                          grpc::CallbackServerContext* context,
                          const grpc::ByteBuffer& request,
                          grpc::ByteBuffer* answer);

 private:
  UnaryCall(const Method& method, grpc::CallbackServerContext* context,
            grpc::ByteBuffer* answer);

  // Whether the call may be tried; parses its request.
  absl::Status Admit(const grpc::ByteBuffer& request);

  // Answers with the response, without what the caller may not know, or with an
  // error. To be called once; the call may be gone before it returns.
  void Answer(const absl::Status& status);

  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { delete this; }

  // Lets gRPC call OnDone where it is: it does not block, and a hop to a thread
  // of gRPC's executor took a tenth of a call's CPU time. gRPC means this for
  // reactors of its own, such as its default one, which are as simple.
  bool InternalInlineable() override { return true; }

  // Logs the call, which failed or was slow.
  void Log(const absl::Status& status, absl::Duration duration,
           absl::string_view traceparent);

  const Method& method_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const answer_;
  const base::SteadyTime start_;
  const base::SteadyTime deadline_;
  std::shared_ptr<const access::Caller> caller_;
  CallLimits::Bytes bytes_;
  store::CallTimes times_;
  std::atomic<bool> cancelled_{false};

  google::protobuf::Arena arena_;
  google::protobuf::Message* const request_;
  google::protobuf::Message* const response_;
};

// Parses a request. Large requests lose the fields that the API does not have:
// tens of thousands fit into one, and would take ten times its size for as long
// as it waits.
//
// INVALID_ARGUMENT with reason MALFORMED_REQUEST if the bytes are no such
// message, or hold text that is not valid UTF-8.
absl::Status ParseRequest(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message* request);

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_UNARY_CALL_H_
