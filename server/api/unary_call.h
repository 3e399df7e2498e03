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
#include "server/api/call.h"
#include "server/api/deadlines.h"
#include "server/api/method.h"
#include "server/api/progress.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// One call of a unary method, from its arrival until both gRPC and the store
// are done with it. Its messages live on an arena of its own.
//
// A call that is under way shortly before its deadline is answered then, with
// what is known of the reason: else gRPC would tell the caller on its own that
// the time is over, without one. The store may go on with it.
// Of a call for many the answer has what is done by then.
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

  const Method& method_;
  const store::ProfileStore& store_;
  grpc::ByteBuffer* const answer_;
  Call call_;
  const base::SteadyTime deadline_;
  store::CallTimes times_;
  Progress progress_;
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> answered_{false};
  std::shared_ptr<UnaryCall> self_;  // until gRPC is done

  google::protobuf::Arena arena_;
  google::protobuf::Message* const request_;
  google::protobuf::Message* const response_;
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_UNARY_CALL_H_
