#include "server/service/unary_call.h"

#include <grpc/support/time.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <string>
#include <utility>

#include "server/service/status.h"
#include "server/service/trace.h"

namespace userprofile::service {

namespace {

// What the caller sent, if it can be used; else empty.
absl::string_view TraceparentOf(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kTraceparent);
  if (found == metadata.end()) return {};
  const absl::string_view value(found->second.data(), found->second.size());
  return IsTraceparent(value) ? value : absl::string_view();
}

}  // namespace

base::SteadyTime ToSteadyTime(gpr_timespec time) {
  const gpr_timespec left = gpr_time_sub(time, gpr_now(time.clock_type));
  return base::SteadyTime::Now() + absl::Seconds(left.tv_sec) +
         absl::Nanoseconds(left.tv_nsec);
}

UnaryCallBase::UnaryCallBase(const Method& method,
                             grpc::CallbackServerContext* context,
                             grpc::ByteBuffer* answer)
    : method_(method),
      context_(context),
      answer_(answer),
      start_(base::SteadyTime::Now()),
      deadline_(std::min(start_ + method.max_timeout,
                         ToSteadyTime(context->raw_deadline()))),
      admission_(method.access.Admit(*context, method.permission, &caller_)) {
  method_.metrics.CountStarted();
}

store::CallContext UnaryCallBase::context() {
  return {deadline_, [this] { return cancelled_.load(); }, &times_};
}

void UnaryCallBase::Answer(const absl::Status& status,
                           const google::protobuf::Message& response) {
  grpc::Status answer = ToGrpcStatus(status);
  if (answer.ok()) {
    bool own_buffer;
    answer = grpc::SerializationTraits<google::protobuf::Message>::Serialize(
        response, answer_, &own_buffer);
  }
  const absl::Duration duration = base::SteadyTime::Now() - start_;
  const absl::string_view sent = TraceparentOf(*context_);
  if (!sent.empty()) {
    context_->AddTrailingMetadata(kTraceparent, std::string(sent));
  }
  if (method_.log.Concerns(status, duration)) Log(status, duration, sent);
  method_.metrics.CountFinished(
      static_cast<absl::StatusCode>(answer.error_code()), duration);
  Finish(std::move(answer));  // the call may be gone
}

void UnaryCallBase::Log(const absl::Status& status, absl::Duration duration,
                        absl::string_view traceparent) {
  std::string made;
  if (traceparent.empty()) {
    made = MakeTraceparent();
    context_->AddTrailingMetadata(kTraceparent, made);
    traceparent = made;
  }
  method_.log.Log({method_.name, caller().name, TraceId(traceparent), status,
                   duration, times_});
}

}  // namespace userprofile::service
