#ifndef USERPROFILE_SERVER_API_REQUEST_PARSER_H_
#define USERPROFILE_SERVER_API_REQUEST_PARSER_H_

#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace userprofile::api {

// Parses a request. Large requests lose the fields that the API does not have:
// tens of thousands fit into one, and would take ten times its size for as long
// as it waits.
//
// INVALID_ARGUMENT with reason MALFORMED_REQUEST if the bytes are no such
// message, or hold text that is not valid UTF-8.
absl::Status ParseRequest(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message* request);

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_REQUEST_PARSER_H_
