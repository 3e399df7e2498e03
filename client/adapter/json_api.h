#ifndef USERPROFILE_CLIENT_ADAPTER_JSON_API_H_
#define USERPROFILE_CLIENT_ADAPTER_JSON_API_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "ops/http_server.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::adapter {

// The largest request. The service takes 64 KiB, but JSON that escapes all but
// ASCII, as many libraries write it, is six times as long as the text: answers
// that are too long must get as far as to be told so.
inline constexpr std::size_t kMaxJsonRequest = 1024 * 1024;

// The service for bots that know HTTP and JSON but not gRPC: the methods that
// the API file lets bots call, as the Connect protocol writes them
// (https://connectrpc.com), so that a Connect client of any language works too.
//   POST /userprofile.v1.UserProfileService/CompleteOnboarding
//   Content-Type: application/json
//   {"user_id": 101, "answers": {"real_name": "Sara", "nickname": "sara"}}
// 200 with the response, or another status with {"code": "already_exists",
// "message": ..., "details": [...]}; of a detail, "debug" holds it in JSON, if
// its kind is known here and it can be written so.
// The client must outlive the handler.
ops::HttpHandler JsonApi(client::ProfileClient& client);

// Whether the API file lets bots call it; the port does not ask who does. Not
// if it streams.
bool IsForBots(const google::protobuf::MethodDescriptor& method);

// A message as Protobuf's JSON, with the fields named as in the API's file:
// 64-bit numbers are texts, times are RFC 3339, what is absent is left out, and
// false is not. INTERNAL if it holds what can't be written so: a time outside
// the years 1 to 9999, an Any of an unknown type.
absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_JSON_API_H_
