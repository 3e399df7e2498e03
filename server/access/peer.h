#ifndef USERPROFILE_SERVER_ACCESS_PEER_H_
#define USERPROFILE_SERVER_ACCESS_PEER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace userprofile::access {

// Who is at the other end, without the port: "10.0.0.7" for what gRPC calls
// "ipv4:10.0.0.7:41022", "2001:db8::7" for "ipv6:%5B2001:db8::7%5D:41022".
std::string PeerOf(absl::string_view grpc_peer);

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_PEER_H_
