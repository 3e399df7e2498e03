#include "server/api/request_parser.h"

#include <grpcpp/support/proto_buffer_reader.h>

#include <cstddef>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/status_macros.h"

namespace userprofile::api {
namespace {

// Any request within the API's limits is smaller.
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

}  // namespace userprofile::api
