#include "server/service/unary_call.h"

#include <grpc/support/time.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "server/service/status.h"

namespace userprofile::service {

absl::Time ToTime(gpr_timespec time) {
  const gpr_timespec real = gpr_convert_clock_type(time, GPR_CLOCK_REALTIME);
  return absl::FromUnixSeconds(real.tv_sec) + absl::Nanoseconds(real.tv_nsec);
}

UnaryCallBase::UnaryCallBase(const Method& method,
                             grpc::CallbackServerContext* context,
                             grpc::ByteBuffer* answer)
    : method_(method),
      answer_(answer),
      start_(absl::Now()),
      deadline_(std::min(start_ + method.max_timeout,
                         ToTime(context->raw_deadline()))),
      admission_(method.access.Admit(*context, method.permission, &caller_)) {
  method_.metrics.CountStarted();
}

store::CallContext UnaryCallBase::context() const {
  return {deadline_, [this] { return cancelled_.load(); }};
}

void UnaryCallBase::Answer(const absl::Status& status,
                           const google::protobuf::Message& response) {
  grpc::Status answer = ToGrpcStatus(status);
  if (answer.ok()) {
    bool own_buffer;
    answer = grpc::SerializationTraits<google::protobuf::Message>::Serialize(
        response, answer_, &own_buffer);
  } else {
    method_.failures.Log(method_.name, status);
  }
  method_.metrics.CountFinished(
      static_cast<absl::StatusCode>(answer.error_code()), absl::Now() - start_);
  Finish(std::move(answer));  // the call may be gone
}

}  // namespace userprofile::service
