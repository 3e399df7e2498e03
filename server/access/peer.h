#ifndef USERPROFILE_SERVER_ACCESS_PEER_H_
#define USERPROFILE_SERVER_ACCESS_PEER_H_

#include <string>

#include "absl/strings/string_view.h"

namespace userprofile::access {

// Who is at the other end of a connection, as gRPC names it but for its
// escapes: "ipv4:10.0.0.7:41022", "ipv6:[2001:db8::7]:41022"; empty for a Unix
// socket.
std::string PeerOfSocket(int socket);

// What is limited together, of a peer as gRPC or PeerOfSocket names it: an
// address without its port ("10.0.0.7"), or a network of IPv6, which whoever
// has one address of it has whole ("2001:db8:0:7::/64", RFC 6177).
std::string AddressOf(absl::string_view peer);

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_PEER_H_
