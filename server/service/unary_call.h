#ifndef USERPROFILE_SERVER_SERVICE_UNARY_CALL_H_
#define USERPROFILE_SERVER_SERVICE_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/steady_time.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/message.h"
#include "server/ops/metrics.h"
#include "server/service/access.h"
#include "server/service/authorization.h"
#include "server/service/call_limits.h"
#include "server/service/caller.h"
#include "server/service/personal_data.h"
#include "server/service/request_log.h"
#include "server/store/profile_store.h"

namespace userprofile::service {

// A deadline of gRPC's, by whatever clock, also one beyond its end.
base::SteadyTime ToSteadyTime(gpr_timespec time);

// What the calls of one method have in common.
struct Method {
  const char* name;
  ops::RpcMetrics& metrics;
  RequestLog& log;
  Access& access;
  const Permission& permission;
  // What a caller's deadline is cut down to.
  absl::Duration max_timeout;
};

// One call of a unary method, from its arrival until gRPC is done with it; then
// it deletes itself. It is answered once, from any thread, perhaps before the
// handler that made it returns. Here is what does not depend on the messages.
//
// The trailer `traceparent` is the caller's header of that name; where there is
// none that can be used, one is made for calls that are logged, and only those.
class UnaryCallBase : public grpc::ServerUnaryReactor {
 public:
  // When the call must be answered, whether its caller gave up, and where to
  // write what took its time.
  store::CallContext context();

  // Who calls, and whether they may.
  const Caller& caller() const { return *caller_; }
  const absl::Status& admission() const { return admission_; }

  // What its request counts for, until the call is done.
  CallLimits::Bytes* bytes() { return &bytes_; }

 protected:
  UnaryCallBase(const Method& method, grpc::CallbackServerContext* context,
                grpc::ByteBuffer* answer);

  void Answer(const absl::Status& status,
              const google::protobuf::Message& response);

 private:
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
  std::shared_ptr<const Caller> caller_;
  const absl::Status admission_;
  CallLimits::Bytes bytes_;
  store::CallTimes times_;
  std::atomic<bool> cancelled_{false};
};

// A call with its messages, which live on an arena of its own.
template <typename Request, typename Response>
class UnaryCall final : public UnaryCallBase {
 public:
  // Allocates the call, for it deletes itself. `method` must outlive it.
  static UnaryCall* Start(const Method& method,
                          grpc::CallbackServerContext* context,
                          grpc::ByteBuffer* answer) {
    return new UnaryCall(method, context, answer);
  }

  Request* request() { return request_; }
  Response* response() { return response_; }

  // Answers with the response, without what the caller may not know, or with an
  // error. To be called once; the call and its messages may be gone before it
  // returns.
  void Answer(const absl::Status& status) {
    if (status.ok() && !caller().pii) WithholdPersonalData(response_);
    UnaryCallBase::Answer(status, *response_);
  }

 private:
  UnaryCall(const Method& method, grpc::CallbackServerContext* context,
            grpc::ByteBuffer* answer)
      : UnaryCallBase(method, context, answer) {}

  google::protobuf::Arena arena_;
  Request* const request_ =
      google::protobuf::Arena::CreateMessage<Request>(&arena_);
  Response* const response_ =
      google::protobuf::Arena::CreateMessage<Response>(&arena_);
};

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_UNARY_CALL_H_
