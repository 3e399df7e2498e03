#ifndef USERPROFILE_CLIENT_ADAPTER_PROFILE_API_H_
#define USERPROFILE_CLIENT_ADAPTER_PROFILE_API_H_

#include <cstddef>

#include "userprofile/client/profile_client.h"

namespace httplib {
class Server;
}

namespace userprofile::adapter {

// The largest request. The service takes 64 KiB, but JSON that escapes all but
// ASCII, as many libraries write it, is six times as long as the text: answers
// that are too long must get as far as to be told so.
inline constexpr std::size_t kMaxProfileRequest = 1024 * 1024;

// The service for bots that know HTTP and JSON but not gRPC: adds its methods
// to `server`, as the Connect protocol writes them (https://connectrpc.com), so
// that a Connect client of any language works too.
//   POST /userprofile.v1.UserProfileService/CompleteOnboarding
//   Content-Type: application/json
//   {"user_id": 101, "answers": {"real_name": "Sara", "nickname": "sara"}}
// 200 with the response, or another status with {"code": "already_exists",
// "message": ..., "details": [...]}; of a detail, "debug" holds it in JSON.
// The client must outlive the server.
void AddProfileApi(client::ProfileClient& client, httplib::Server& server);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_PROFILE_API_H_
