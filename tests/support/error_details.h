#ifndef USERPROFILE_TESTS_SUPPORT_ERROR_DETAILS_H_
#define USERPROFILE_TESTS_SUPPORT_ERROR_DETAILS_H_

#include <grpcpp/grpcpp.h>

#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace userprofile::testing {

// The details of an error as a client sees them.
inline google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  return details;
}

// The detail of that type; its default if there is none.
template <typename Detail>
Detail DetailOf(const grpc::Status& status) {
  Detail detail;
  const google::rpc::Status details = DetailsOf(status);
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&detail)) return detail;
  }
  return detail;
}

// The reason in its google.rpc.ErrorInfo; empty if there is none.
inline std::string ReasonOf(const grpc::Status& status) {
  return DetailOf<google::rpc::ErrorInfo>(status).reason();
}

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_ERROR_DETAILS_H_
