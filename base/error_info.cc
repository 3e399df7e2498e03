#include "base/error_info.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/optional.h"

namespace userprofile::base {
namespace {

template <typename Detail>
std::string TypeUrl() {
  return absl::StrCat("type.googleapis.com/",
                      Detail::descriptor()->full_name());
}

template <typename Detail>
void SetDetail(absl::Status& status, const Detail& detail) {
  status.SetPayload(TypeUrl<Detail>(), absl::Cord(detail.SerializeAsString()));
}

// An empty one if it has none.
template <typename Detail>
Detail DetailOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload =
      status.GetPayload(TypeUrl<Detail>());
  Detail detail;
  if (payload) (void)detail.ParseFromString(std::string(*payload));
  return detail;
}

}  // namespace

absl::string_view ReasonName(v1::ErrorReason reason) {
  return absl::StripPrefix(v1::ErrorReason_Name(reason), "ERROR_REASON_");
}

absl::Status MakeError(absl::StatusCode code, absl::string_view message,
                       v1::ErrorReason reason, ErrorMetadata metadata) {
  return MakeError(code, message, ReasonName(reason), metadata);
}

absl::Status MakeError(absl::StatusCode code, absl::string_view message,
                       absl::string_view reason, ErrorMetadata metadata) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(kErrorDomain);
  for (const auto& [key, value] : metadata) {
    (*info.mutable_metadata())[std::string(key)] = std::string(value);
  }
  absl::Status status(code, message);
  SetDetail(status, info);
  return status;
}

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(
      absl::IDivDuration(delay, absl::Seconds(1), &delay));
  info.mutable_retry_delay()->set_nanos(
      static_cast<int>(absl::ToInt64Nanoseconds(delay)));
  SetDetail(status, info);
  return status;
}

absl::Status WithBadRequest(absl::Status status,
                            const google::rpc::BadRequest& bad_request) {
  SetDetail(status, bad_request);
  return status;
}

absl::Status Annotate(const absl::Status& status, absl::string_view prefix) {
  absl::Status annotated(status.code(), absl::StrCat(prefix, status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& value) {
    annotated.SetPayload(url, value);
  });
  return annotated;
}

google::rpc::BadRequest BadRequestOf(const absl::Status& status) {
  return DetailOf<google::rpc::BadRequest>(status);
}

std::string ErrorReason(const absl::Status& status) {
  return DetailOf<google::rpc::ErrorInfo>(status).reason();
}

}  // namespace userprofile::base
