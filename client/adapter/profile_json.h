#ifndef USERPROFILE_CLIENT_ADAPTER_PROFILE_JSON_H_
#define USERPROFILE_CLIENT_ADAPTER_PROFILE_JSON_H_

#include <string>

#include "google/protobuf/message.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::adapter {

// A message as Protobuf's JSON, with the fields named as in the API's file:
// 64-bit numbers are texts, times are RFC 3339, what is absent is left out, and
// false is not.
std::string ToJson(const google::protobuf::Message& message);

// The profile in that form, in base64url without padding, for an HTTP header.
// Less than 8 KiB, as the API's limits keep a profile short.
std::string ProfileHeader(const v1::Profile& profile);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_PROFILE_JSON_H_
