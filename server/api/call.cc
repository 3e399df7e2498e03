#include "server/api/call.h"

#include <grpc/support/time.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstddef>
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

Call::Call(const Method& method, grpc::CallbackServerContext* context)
    : method_(method), context_(context), arrival_(base::SteadyTime::Now()) {
  method_.metrics.CountStarted();
}

absl::Status Call::Admit(const grpc::ByteBuffer& bytes,
                         google::protobuf::Message* request) {
  const MethodContext& shared = method_.context;
  USERPROFILE_RETURN_IF_ERROR(AdmitAgain());
  // Who is known by name is no stranger, be it that there are too many calls.
  const bool known = caller_ != access::AnybodyTrusted();
  const auto welcome = [&] {
    if (shared.connections != nullptr) shared.connections->Welcome(*context_);
  };
  if (known) welcome();
  USERPROFILE_RETURN_IF_ERROR(
      shared.limits.Admit(*context_, *caller_, bytes.Length(), &bytes_));
  USERPROFILE_RETURN_IF_ERROR(ParseRequest(bytes, request));
  if (method_.row.prepare) {
    USERPROFILE_RETURN_IF_ERROR(method_.row.prepare(request));
  }
  USERPROFILE_RETURN_IF_ERROR(method_.validator.Validate(request));
  if (!known) welcome();
  return shared.readiness.AdmitRequest();
}

void Call::End(const absl::Status& status, absl::Duration duration,
               const store::CallTimes& times,
               std::vector<absl::Status> within) {
  const absl::string_view sent = TraceparentOf(*context_);
  if (!sent.empty()) {
    context_->AddTrailingMetadata(kTraceparent, std::string(sent));
  }
  if (method_.context.log.Concerns(status, duration)) within.push_back(status);
  if (!within.empty()) Log(within, duration, sent, times);
  if (access::IsRefusal(status)) {
    method_.metrics.CountRefused();
  } else {
    method_.metrics.CountFinished(IsHiddenFromCallers(status)
                                      ? absl::StatusCode::kInternal
                                      : status.code(),
                                  duration);
  }
}

void Call::Log(const std::vector<absl::Status>& outcomes,
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
