#ifndef USERPROFILE_SERVER_API_UNARY_CALL_H_
#define USERPROFILE_SERVER_API_UNARY_CALL_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/steady_time.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/message.h"
#include "server/access/authorization.h"
#include "server/api/call_limits.h"
#include "server/api/deadlines.h"
#include "server/api/method.h"
#include "server/api/progress.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// A deadline of gRPC's, by whatever clock, also one beyond its end.
base::SteadyTime ToSteadyTime(gpr_timespec time);

// One call of a unary method, from its arrival until both gRPC and the store
// are done with it. Its messages live on an arena of its own.
//
// A call that is under way shortly before its deadline is answered then, with
// what is known of the reason: else gRPC would tell the caller on its own that
// the time is over, without one. The store may go on with it.
// Of a call for many the answer has what is done by then.
//
// The trailer `traceparent` is the caller's header of that name; where there is
// none that can be used, one is made for calls that are logged, and only those.
class UnaryCall final : public grpc::ServerUnaryReactor,
                        public Deadlines::Waiter {
 public:
  // Makes the call and carries it out: lets the caller in or not, parses and
  // checks the request, and leaves it to the store. It is answered once, on any
  // thread, perhaps before Start returns. `method` and `store` must outlive it.
  static UnaryCall* Start(const Method& method, store::ProfileStore& store,
                          grpc::CallbackServerContext* context,
                          const grpc::ByteBuffer& request,
                          grpc::ByteBuffer* answer);

 private:
  UnaryCall(const Method& method, const store::ProfileStore& store,
            grpc::CallbackServerContext* context, grpc::ByteBuffer* answer);

  // Whether the call may be tried; parses its request.
  absl::Status Admit(const grpc::ByteBuffer& request);

  // When it is to be answered at the latest, to reach the caller in time.
  base::SteadyTime AnswerBy() const;

  // What to answer then.
  absl::Status Late() const;

  // Whether no answer is wanted any more.
  bool over() const { return cancelled_ || answered_; }

  // Answers with the response, without what the caller may not know, or with an
  // error. Only the first call does anything.
  void Answer(absl::Status status);

  // The same with that response, for whoever was first.
  void Send(absl::Status status, google::protobuf::Message* response,
            const store::CallTimes& times);

  void OnDeadline() override;
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override { self_.reset(); }

  // Lets gRPC call OnDone where it is: it does not block, and a hop to a thread
  // of gRPC's executor took a tenth of a call's CPU time. gRPC means this for
  // reactors of its own, such as its default one, which are as simple.
  bool InternalInlineable() override { return true; }

  // Logs the call, which failed or was slow, or some of it.
  void Log(const std::vector<absl::Status>& outcomes, absl::Duration duration,
           absl::string_view traceparent, const store::CallTimes& times);

  const Method& method_;
  const store::ProfileStore& store_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const answer_;
  const base::SteadyTime start_;
  const base::SteadyTime deadline_;
  std::shared_ptr<const access::Caller> caller_;
  CallLimits::Bytes bytes_;
  store::CallTimes times_;
  Progress progress_;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> answered_{false};
  std::shared_ptr<UnaryCall> self_;  // until gRPC is done

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
