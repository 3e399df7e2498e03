#include "server/access/peer.h"

#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace userprofile::access {

std::string PeerOf(absl::string_view grpc_peer) {
  if (!absl::ConsumePrefix(&grpc_peer, "ipv4:") &&
      !absl::ConsumePrefix(&grpc_peer, "ipv6:")) {
    return std::string(grpc_peer);
  }
  return absl::StrReplaceAll(grpc_peer.substr(0, grpc_peer.rfind(':')),
                             {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
}

}  // namespace userprofile::access
