#ifndef USERPROFILE_SERVER_API_STATUS_H_
#define USERPROFILE_SERVER_API_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace userprofile::api {

// The only place where a status becomes one that callers see: same code and
// message, and as details the payloads which are meant for callers (those under
// type.googleapis.com/).
//
// An error without a reason was not made for callers, and may hold anything:
// they get INTERNAL with a fixed sentence instead.
google::rpc::Status ToRpcStatus(const absl::Status& status);

// The same as gRPC has it, with a google.rpc.Status as details of an error.
grpc::Status ToGrpcStatus(const absl::Status& status);

// How a stream ends that the server ends because it leaves: UNAVAILABLE, with
// the reason SHUTTING_DOWN.
grpc::Status ServerLeaves();

// Whether an error has no reason, so that ToGrpcStatus hides it from callers.
bool IsHiddenFromCallers(const absl::Status& status);

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_STATUS_H_
