#ifndef USERPROFILE_SERVER_SERVICE_REQUEST_PARSER_H_
#define USERPROFILE_SERVER_SERVICE_REQUEST_PARSER_H_

#include <grpcpp/support/byte_buffer.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace userprofile::service {

// Parses a request. Text that is not valid UTF-8, which Protobuf takes for a
// broken message, does not end the parsing: the paths of such fields, as in
// "identity.first_name", go to `not_utf8` and their values are left empty, so
// that validation can name everything that is wrong at once. Large
// requests lose the fields that the API does not have: tens of thousands fit
// into one, and would take ten times its size for as long as it waits.
//
// INVALID_ARGUMENT with reason MALFORMED_REQUEST if the bytes are no such
// message at all.
absl::Status ParseRequest(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message* request,
                          std::vector<std::string>* not_utf8);

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_REQUEST_PARSER_H_
