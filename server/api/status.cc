#include "server/api/status.h"

#include <algorithm>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/error_info.h"

namespace userprofile::api {
namespace {

constexpr absl::string_view kTypeUrlPrefix = "type.googleapis.com/";

google::rpc::Status WithDetails(const absl::Status& status) {
  google::rpc::Status wire;
  wire.set_code(static_cast<int>(status.code()));
  wire.set_message(std::string(status.message()));
  status.ForEachPayload(
      [&](absl::string_view type_url, const absl::Cord& payload) {
        if (!absl::StartsWith(type_url, kTypeUrlPrefix)) return;
        google::protobuf::Any* detail = wire.add_details();
        detail->set_type_url(std::string(type_url));
        detail->set_value(std::string(payload));
      });
  // Payloads have no order of their own; callers get one.
  std::sort(
      wire.mutable_details()->begin(), wire.mutable_details()->end(),
      [](const auto& a, const auto& b) { return a.type_url() < b.type_url(); });
  return wire;
}

}  // namespace

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  if (!IsHiddenFromCallers(status)) return WithDetails(status);
  return WithDetails(base::MakeError(
      absl::StatusCode::kInternal,
      "something went wrong inside the service; its log says what",
      v1::ERROR_REASON_INTERNAL));
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status wire = ToRpcStatus(status);
  return grpc::Status(static_cast<grpc::StatusCode>(wire.code()),
                      wire.message(), wire.SerializeAsString());
}

grpc::Status ServerLeaves() {
  return ToGrpcStatus(base::MakeError(absl::StatusCode::kUnavailable,
                                      "this server shuts down",
                                      v1::ERROR_REASON_SHUTTING_DOWN));
}

bool IsHiddenFromCallers(const absl::Status& status) {
  return !status.ok() && base::ErrorReason(status).empty();
}

}  // namespace userprofile::api
