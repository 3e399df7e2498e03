#include "server/service/attempt_limiter.h"

#include <algorithm>

#include <iterator>

#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace userprofile::service {
namespace {

constexpr absl::Duration kOneEach = absl::Seconds(1);
constexpr absl::Duration kAtOnce = absl::Seconds(100);
constexpr std::size_t kMostPeers = 1000;
constexpr char kOthers[] = "others";

}  // namespace

bool AttemptLimiter::Count(absl::string_view peer) {
  const absl::Time now = clock_();
  base::MutexLock lock(mutex_);
  auto it = calm_at_.find(peer);
  if (it == calm_at_.end()) {
    if (calm_at_.size() >= kMostPeers) ForgetTheCalm(now);
    const bool full = calm_at_.size() >= kMostPeers;
    it = calm_at_.try_emplace(full ? kOthers : std::string(peer), now).first;
  }
  absl::Time& calm_at = it->second;
  const absl::Time next = std::max(calm_at, now) + kOneEach;
  if (next > now + kAtOnce) return false;
  calm_at = next;
  return true;
}

void AttemptLimiter::ForgetTheCalm(absl::Time now) {
  for (auto it = calm_at_.begin(); it != calm_at_.end();) {
    it = it->second <= now ? calm_at_.erase(it) : std::next(it);
  }
}

std::string PeerOf(absl::string_view grpc_peer) {
  if (!absl::ConsumePrefix(&grpc_peer, "ipv4:") &&
      !absl::ConsumePrefix(&grpc_peer, "ipv6:")) {
    return std::string(grpc_peer);
  }
  return absl::StrReplaceAll(grpc_peer.substr(0, grpc_peer.rfind(':')),
                             {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
}

}  // namespace userprofile::service
