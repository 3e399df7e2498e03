#include "server/api/unary_call.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/error_info.h"
#include "server/api/status.h"

namespace userprofile::api {
namespace {

// How long an answer may be on its way to the caller; but no more than a
// quarter of the caller's time.
constexpr absl::Duration kLongestWay = absl::Milliseconds(50);

absl::Status AnswerTooLarge() {
  return base::MakeError(
      absl::StatusCode::kFailedPrecondition,
      "the answer has more than the 4 MiB that clients take; ask for less at "
      "once",
      v1::ERROR_REASON_ANSWER_TOO_LARGE);
}

// gRPC rounds a caller's time up as it sends it, by up to a hundredth.
constexpr int kRounding = 100;

}  // namespace

UnaryCall* UnaryCall::Start(const Method& method, store::ProfileStore& store,
                            grpc::CallbackServerContext* context,
                            const grpc::ByteBuffer& request,
                            grpc::ByteBuffer* answer) {
  const std::shared_ptr<UnaryCall> call(
      new UnaryCall(method, store, context, answer));
  call->self_ = call;
  if (absl::Status status = call->call_.Admit(request, call->request_);
      !status.ok()) {
    call->Answer(std::move(status));
    return call.get();
  }
  method.context.deadlines.Add(call, call->AnswerBy());
  method.row.act(store, call->request_, call->response_,
                 {call->deadline_, [call = call.get()] { return call->over(); },
                  &call->times_},
                 call->progress_, [call](absl::Status status) {
                   call->Answer(std::move(status));
                 });
  return call.get();
}

UnaryCall::UnaryCall(const Method& method, const store::ProfileStore& store,
                     grpc::CallbackServerContext* context,
                     grpc::ByteBuffer* answer)
    : method_(method),
      store_(store),
      answer_(answer),
      call_(method, context),
      deadline_(std::min(call_.arrival() + method.context.max_timeout,
                         ToSteadyTime(context->raw_deadline()))),
      request_(method.row.request.New(&arena_)),
      response_(method.row.response.New(&arena_)) {}

base::SteadyTime UnaryCall::AnswerBy() const {
  const absl::Duration time = deadline_ - call_.arrival();
  return deadline_ - std::min(kLongestWay + time / kRounding, time / 4);
}

void UnaryCall::OnDeadline() {
  if (answered_.exchange(true)) return;
  const absl::Status late = Late();
  // Its times are the store's, which may still write them.
  if (!method_.row.answer_in_part || progress_.done() == nullptr) {
    return Send(late, response_, {});
  }
  // So are the results that are not done.
  const std::unique_ptr<google::protobuf::Message> answer(response_->New());
  method_.row.answer_in_part(*response_, progress_, late, answer.get());
  progress_.Fail(late);
  Send(absl::OkStatus(), answer.get(), {});
}

absl::Status UnaryCall::Late() const {
  absl::Status state = method_.context.readiness.StateWithoutLanes();
  return state.ok() ? store_.Late(method_.row.verb) : state;
}

void UnaryCall::Answer(absl::Status status) {
  if (answered_.exchange(true)) return;
  method_.context.deadlines.Remove(*this);
  // gRPC cancels a call whose deadline has passed.
  if (absl::IsCancelled(status) && AnswerBy() <= base::SteadyTime::Now()) {
    status = Late();
  }
  Send(std::move(status), response_, times_);
}

void UnaryCall::Send(absl::Status status, google::protobuf::Message* response,
                     const store::CallTimes& times) {
  grpc::Status answer = ToGrpcStatus(status);
  if (answer.ok()) {
    if (method_.row.count) method_.row.count(*response);
    if (!call_.caller().pii) method_.personal_data.Withhold(response);
    bool own_buffer;
    answer = grpc::SerializationTraits<google::protobuf::Message>::Serialize(
        *response, answer_, &own_buffer);
    if (answer_->Length() > kLargestAnswer) {
      answer_->Clear();
      status = AnswerTooLarge();
      answer = ToGrpcStatus(status);
    }
  }
  call_.End(status, base::SteadyTime::Now() - call_.arrival(), times,
            progress_.done() != nullptr ? progress_.failures()
                                        : std::vector<absl::Status>());
  Finish(std::move(answer));
}

}  // namespace userprofile::api
