#ifndef USERPROFILE_SERVER_API_CALL_H_
#define USERPROFILE_SERVER_API_CALL_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/steady_time.h"
#include "google/protobuf/message.h"
#include "server/access/authorization.h"
#include "server/api/call_limits.h"
#include "server/api/method.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// A deadline of gRPC's, by whatever clock, also one beyond its end.
base::SteadyTime ToSteadyTime(gpr_timespec time);

// What a unary call and a stream have in common: how one is let in, and what is
// told of it to metrics, the log and the caller's trailers. `method` and
// `context` must outlive it. Not thread-safe.
//
// The trailer `traceparent` is the caller's header of that name; where there is
// none that can be used, one is made for calls that are logged, and only those.
class Call {
 public:
  // It has arrived.
  Call(const Method& method, grpc::CallbackServerContext* context);

  // Whether it may be tried; parses its request into `request`.
  absl::Status Admit(const grpc::ByteBuffer& bytes,
                     google::protobuf::Message* request);

  // Whether its caller still may make it, and what they may know.
  absl::Status AdmitAgain() {
    return method_.context.access.Admit(*context_, method_.permission,
                                        &caller_);
  }

  // It is answered with `status`, `duration` after its arrival, and nothing but
  // that is left to do. Of a call for many, `within` is what failed of it.
  void End(const absl::Status& status, absl::Duration duration,
           const store::CallTimes& times,
           std::vector<absl::Status> within = {});

  base::SteadyTime arrival() const { return arrival_; }
  const access::Caller& caller() const { return *caller_; }

 private:
  // Logs the call, which failed or was slow, or some of it.
  void Log(const std::vector<absl::Status>& outcomes, absl::Duration duration,
           absl::string_view traceparent, const store::CallTimes& times);

  const Method& method_;
  grpc::CallbackServerContext* const context_;
  const base::SteadyTime arrival_;
  std::shared_ptr<const access::Caller> caller_;
  CallLimits::Bytes bytes_;
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

#endif  // USERPROFILE_SERVER_API_CALL_H_
