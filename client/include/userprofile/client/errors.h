#ifndef USERPROFILE_CLIENT_ERRORS_H_
#define USERPROFILE_CLIENT_ERRORS_H_

#include <string>

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace userprofile::client {

// The errors that the client returns keep gRPC's code and message, and carry
// every detail that the service attached (google.rpc.ErrorInfo, BadRequest,
// RetryInfo) as a payload under the detail's type URL.

// The reason of an error, as userprofile/v1/user_profile_service.proto lists
// them, such as "USER_NOT_FOUND"; empty if it has none: gRPC itself made it.
std::string Reason(const absl::Status& status);

// Whether the service refuses this very request, whenever it is asked: trying
// again is of no use, and says nothing about the user. Other errors may pass.
bool IsRefused(const absl::Status& status);

// The outcome of one request of many, such as UpsertUserResult::error, in
// Abseil's terms.
absl::Status FromRpcStatus(const google::rpc::Status& status);

// The outcome of a call, in Abseil's terms.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace userprofile::client

#endif  // USERPROFILE_CLIENT_ERRORS_H_
