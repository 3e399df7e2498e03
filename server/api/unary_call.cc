#include "server/api/unary_call.h"

#include <grpc/support/time.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "server/api/status.h"
#include "server/api/trace.h"

namespace userprofile::api {
namespace {

// What the caller sent, if it can be used; else empty.
absl::string_view TraceparentOf(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kTraceparent);
  if (found == metadata.end()) return {};
  const absl::string_view value(found->second.data(), found->second.size());
  return IsTraceparent(value) ? value : absl::string_view();
}

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

// Most requests are smaller.
constexpr std::size_t kUsualSize = 8 * 1024;

absl::Status ParseWhole(const grpc::ByteBuffer& bytes,
                        google::protobuf::Message* request) {
  // The reader does not change the buffer, whatever its signature says.
  grpc::ProtoBufferReader reader(const_cast<grpc::ByteBuffer*>(&bytes));
  if (reader.status().ok() && request->ParseFromZeroCopyStream(&reader)) {
    return absl::OkStatus();
  }
  return base::MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrCat("the bytes are no ", request->GetDescriptor()->full_name(),
                   ", or hold text that is not UTF-8"),
      v1::ERROR_REASON_MALFORMED_REQUEST);
}

}  // namespace

absl::Status ParseRequest(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message* request) {
  if (bytes.Length() <= kUsualSize) return ParseWhole(bytes, request);
  // In a message of its own, for an arena frees nothing that is dropped.
  const std::unique_ptr<google::protobuf::Message> whole(request->New());
  USERPROFILE_RETURN_IF_ERROR(ParseWhole(bytes, whole.get()));
  whole->DiscardUnknownFields();
  request->CopyFrom(*whole);
  return absl::OkStatus();
}

base::SteadyTime ToSteadyTime(gpr_timespec time) {
  const gpr_timespec left = gpr_time_sub(time, gpr_now(time.clock_type));
  return base::SteadyTime::Now() + absl::Seconds(left.tv_sec) +
         absl::Nanoseconds(left.tv_nsec);
}

UnaryCall* UnaryCall::Start(const Method& method, store::ProfileStore& store,
                            grpc::CallbackServerContext* context,
                            const grpc::ByteBuffer& request,
                            grpc::ByteBuffer* answer) {
  const std::shared_ptr<UnaryCall> call(
      new UnaryCall(method, store, context, answer));
  call->self_ = call;
  if (absl::Status status = call->Admit(request); !status.ok()) {
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
      context_(context),
      answer_(answer),
      start_(base::SteadyTime::Now()),
      deadline_(std::min(start_ + method.context.max_timeout,
                         ToSteadyTime(context->raw_deadline()))),
      request_(method.row.request.New(&arena_)),
      response_(method.row.response.New(&arena_)) {
  method_.metrics.CountStarted();
}

base::SteadyTime UnaryCall::AnswerBy() const {
  const absl::Duration time = deadline_ - start_;
  return deadline_ - std::min(kLongestWay + time / kRounding, time / 4);
}

absl::Status UnaryCall::Admit(const grpc::ByteBuffer& request) {
  const MethodContext& shared = method_.context;
  USERPROFILE_RETURN_IF_ERROR(
      shared.access.Admit(*context_, method_.permission, &caller_));
  // Who is known by name is no stranger, be it that there are too many calls.
  const bool known = caller_ != access::AnybodyTrusted();
  const auto welcome = [&] {
    if (shared.connections != nullptr) shared.connections->Welcome(*context_);
  };
  if (known) welcome();
  USERPROFILE_RETURN_IF_ERROR(
      shared.limits.Admit(*context_, *caller_, request.Length(), &bytes_));
  USERPROFILE_RETURN_IF_ERROR(ParseRequest(request, request_));
  if (method_.row.prepare) {
    USERPROFILE_RETURN_IF_ERROR(method_.row.prepare(request_));
  }
  USERPROFILE_RETURN_IF_ERROR(method_.validator.Validate(request_));
  if (!known) welcome();
  return shared.readiness.AdmitRequest();
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
    if (!caller_->pii) method_.personal_data.Withhold(response);
    bool own_buffer;
    answer = grpc::SerializationTraits<google::protobuf::Message>::Serialize(
        *response, answer_, &own_buffer);
    if (answer_->Length() > kLargestAnswer) {
      answer_->Clear();
      status = AnswerTooLarge();
      answer = ToGrpcStatus(status);
    }
  }
  const absl::Duration duration = base::SteadyTime::Now() - start_;
  const absl::string_view sent = TraceparentOf(*context_);
  if (!sent.empty()) {
    context_->AddTrailingMetadata(kTraceparent, std::string(sent));
  }
  std::vector<absl::Status> outcomes;
  if (progress_.done() != nullptr) outcomes = progress_.failures();
  if (method_.context.log.Concerns(status, duration)) {
    outcomes.push_back(status);
  }
  if (!outcomes.empty()) Log(outcomes, duration, sent, times);
  if (access::IsRefusal(status)) {
    method_.metrics.CountRefused();
  } else {
    method_.metrics.CountFinished(
        static_cast<absl::StatusCode>(answer.error_code()), duration);
  }
  Finish(std::move(answer));
}

void UnaryCall::Log(const std::vector<absl::Status>& outcomes,
                    absl::Duration duration, absl::string_view traceparent,
                    const store::CallTimes& times) {
  std::string made;
  if (traceparent.empty()) {
    made = MakeTraceparent();
    context_->AddTrailingMetadata(kTraceparent, made);
    traceparent = made;
  }
  for (const absl::Status& status : outcomes) {
    method_.context.log.Log({method_.row.name, caller_->name,
                             TraceId(traceparent), status, duration, times});
  }
}

}  // namespace userprofile::api
