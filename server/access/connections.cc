#include "server/access/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/access/access.h"
#include "spdlog/spdlog.h"

namespace userprofile::access {
namespace {

// For everything that is no connection: the database, files, gRPC itself.
constexpr rlim_t kOtherFiles = 128;

// A stranger has this long before it makes room for another.
constexpr absl::Duration kStrangersTime = absl::Seconds(1);

// Handshakes and a call are smaller, TLS with a certificate of the client's and
// all.
constexpr int kFirstCall = 16 << 10;

// What gRPC has taken is free by then, but here and there.
constexpr absl::Duration kTrimAfter = absl::Seconds(5);

constexpr std::size_t kFewAddresses = 1024;

// How soon strangers are looked at again: gRPC reads what comes as fast as it
// comes. A look at one costs a microsecond, and all of them shall not take more
// than a tenth of a core.
constexpr absl::Duration kWhileTheySend = absl::Milliseconds(2);
constexpr absl::Duration kWhileTheyWait = absl::Milliseconds(50);
constexpr absl::Duration kForEach = absl::Microseconds(10);

// How many connections fit into the open files: each has two descriptors.
int MostConnections() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
      limit.rlim_cur == RLIM_INFINITY) {
    return 1 << 20;
  }
  return static_cast<int>(limit.rlim_cur > 2 * kOtherFiles
                              ? (limit.rlim_cur - kOtherFiles) / 2
                              : limit.rlim_cur / 4);
}

// Who is at the other end, as gRPC would name it but for its escapes; empty for
// a Unix socket.
std::string PeerOfSocket(int socket) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return "ipv4:gone";
  }
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", ntohs(v4.sin_port));
  }
  if (address.ss_family != AF_INET6) return "";
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  const int port = ntohs(v6.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", port);
  }
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  return absl::StrCat(
      "ipv6:[", text,
      v6.sin6_scope_id == 0 ? "" : absl::StrCat("%", v6.sin6_scope_id),
      "]:", port);
}

// Ends a TCP connection for both sides, at once. shutdown() would not do: Linux
// goes on taking what the other end sends, and whoever reads goes on getting
// it. See connect(2), AF_UNSPEC; sandboxes may not know it.
void Abort(int socket) {
  sockaddr nowhere = {};
  nowhere.sa_family = AF_UNSPEC;
  if (connect(socket, &nowhere, sizeof(nowhere)) != 0) {
    shutdown(socket, SHUT_RDWR);
  }
}

// 0 for one that was broken.
int BytesReceived(int socket) {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return static_cast<int>(
      std::min<std::uint64_t>(info.tcpi_bytes_received, 1 << 30));
}

}  // namespace

Connections::Connections(const ConnectionLimits& limits, ops::Metrics* metrics,
                         base::SteadyClock clock)
    : limits_(limits),
      clock_(std::move(clock)),
      open_(metrics, "userprofile_connections",
            "Connections of callers that are open.") {
  if (const int most = MostConnections(); most < limits_.max_connections) {
    spdlog::warn(
        "at most {} connections are taken, for the limit of open files "
        "(ulimit -n) allows no more",
        most);
    limits_.max_connections = most;
  }
  constexpr const char* kNames[] = {"served",         "no_call",
                                    "too_many",       "too_many_from_address",
                                    "too_many_bytes", "no_descriptor"};
  for (int i = 0; i < kOutcomes; ++i) {
    ended_[i] = ops::Counter(
        metrics, "userprofile_connections_ended_total",
        "Connections of callers that ended, by how: after a call that was let "
        "in, without one, or closed by a limit.",
        {{"outcome", kNames[i]}});
  }
}

Connections::~Connections() {
  for (const auto& [watched, connection] : connections_) close(watched);
}

absl::optional<int> Connections::Add(int socket) {
  Connection connection;
  connection.peer = PeerOfSocket(socket);
  connection.address = PeerOf(connection.peer);
  connection.since = clock_();
  connection.stranger = !connection.peer.empty();
  base::MutexLock lock(mutex_);
  if (connection.stranger) {
    ForgetAddresses(connection.since);
    const Address& address = addresses_[connection.address];
    if (IsOver(address, connection.since)) {
      Count(kTooManyBytes, connection.address);
      return absl::nullopt;
    }
    if (address.connections >= limits_.max_connections_per_address &&
        !MakeRoom(connection, kTooManyFromOne)) {
      Count(kTooManyFromOne, connection.address);
      return absl::nullopt;
    }
  }
  if (taken_ >= limits_.max_connections && !MakeRoom(connection, kTooMany)) {
    Count(kTooMany, connection.address);
    return absl::nullopt;
  }
  const int watched = fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (watched < 0) {
    Count(kNoDescriptor, connection.address);
    return absl::nullopt;
  }
  ++taken_;
  ++addresses_[connection.address].connections;
  open_.Add(1);
  if (connection.stranger) {
    by_peer_[connection.peer] = watched;
    connection.place = strangers_.insert(strangers_.end(), watched);
    ++strangers_count_;
  }
  connections_.emplace(watched, std::move(connection));
  return watched;
}

void Connections::CountRefused(int socket) {
  Count(kNoDescriptor, PeerOf(PeerOfSocket(socket)));
}

void Connections::ForgetAddresses(base::SteadyTime now) {
  if (addresses_.size() < next_forgetting_) return;
  absl::erase_if(addresses_, [now](const auto& entry) {
    return entry.second.connections == 0 && entry.second.forgiven <= now;
  });
  next_forgetting_ = std::max(kFewAddresses, 2 * addresses_.size());
}

bool Connections::MakeRoom(const Connection& newcomer, Outcome outcome) {
  for (const int watched : strangers_) {
    const Connection& oldest = connections_.at(watched);
    if (outcome == kTooManyFromOne && oldest.address != newcomer.address) {
      continue;
    }
    if (newcomer.since - oldest.since < kStrangersTime) return false;
    Break(watched, outcome);
    return true;
  }
  return false;
}

void Connections::Remove(int watched) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(watched);
  if (found == connections_.end()) return;
  if (found->second.stranger) Charge(watched, found->second, clock_());
  Leave(found->second);
  Count(found->second.outcome, found->second.address);
  connections_.erase(found);
  close(watched);
}

void Connections::Welcome(absl::string_view peer) {
  const std::string name =
      absl::StrReplaceAll(peer, {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
  base::MutexLock lock(mutex_);
  const auto found = by_peer_.find(name);
  if (found == by_peer_.end()) return;
  Connection& connection = connections_.at(found->second);
  connection.outcome = kServed;
  Address& address = addresses_[connection.address];
  address.forgiven = address.forgiven - TimeFor(connection.received);
  Acquaint(connection);
}

absl::Duration Connections::CheckStrangers() {
  const base::SteadyTime now = clock_();
  bool trim = false;
  absl::Duration pause;
  {
    base::MutexLock lock(mutex_);
    trim = now >= trim_at_;
    if (trim) trim_at_ = base::SteadyTime::InfiniteFuture();
    pause = BreakGreedyStrangers(now);
  }
  if (trim) malloc_trim(0);  // takes a while
  return pause;
}

absl::Duration Connections::BreakGreedyStrangers(base::SteadyTime now) {
  bool sending = false;
  for (auto next = strangers_.begin(); next != strangers_.end();) {
    const int watched = *next++;
    Connection& stranger = connections_.at(watched);
    const int before = stranger.received;
    Charge(watched, stranger, now);
    sending = sending || stranger.received > before;
    if (stranger.received > limits_.max_stranger_bytes ||
        (stranger.received > kFirstCall &&
         IsOver(addresses_[stranger.address], now))) {
      Break(watched, kTooManyBytes);
      trim_at_ = std::min(trim_at_, now + kTrimAfter);
    }
  }
  return strangers_.empty()
             ? trim_at_ - now
             : std::max(sending ? kWhileTheySend : kWhileTheyWait,
                        strangers_.size() * kForEach);
}

void Connections::Charge(int watched, Connection& stranger,
                         base::SteadyTime now) {
  const int received = std::max(BytesReceived(watched), stranger.received);
  const int more = received - std::exchange(stranger.received, received);
  base::SteadyTime& forgiven = addresses_[stranger.address].forgiven;
  forgiven = std::max(forgiven, now) + TimeFor(more);
}

absl::Duration Connections::TimeFor(int bytes) const {
  return absl::Seconds(1) * bytes /
         limits_.max_stranger_bytes_per_address_second;
}

bool Connections::IsOver(const Address& address, base::SteadyTime now) const {
  return address.forgiven - now >
         TimeFor(limits_.max_stranger_bytes_per_address);
}

// gRPC finds it broken, and lets go of it; then it hangs up. One that ends by
// itself is not broken: what gRPC sent last may still be on its way.
void Connections::Break(int watched, Outcome outcome) {
  Connection& connection = connections_.at(watched);
  if (connection.left) return;
  connection.outcome = outcome;
  Abort(watched);
  Leave(connection);
}

void Connections::Leave(Connection& connection) {
  if (std::exchange(connection.left, true)) return;
  open_.Add(-1);
  --taken_;
  --addresses_[connection.address].connections;
  if (connection.stranger) Acquaint(connection);
}

// It is no stranger any more.
void Connections::Acquaint(Connection& connection) {
  connection.stranger = false;
  // Another one may have its name by now, if it hung up without our knowing.
  const auto named = by_peer_.find(connection.peer);
  if (named != by_peer_.end() && named->second == *connection.place) {
    by_peer_.erase(named);
  }
  strangers_.erase(connection.place);
  --strangers_count_;
}

void Connections::Count(Outcome outcome, absl::string_view address) {
  ended_[outcome].Increment();
  if (outcome < kTooMany) return;
  if (const auto held_back = log_.Admit()) {
    constexpr const char* kWhy[] = {
        "",
        "",
        "there are too many connections (--max-connections)",
        "it has too many connections (--max-connections-per-address)",
        "too much came from there before a call was let in",
        "the process has too many files open (ulimit -n)"};
    spdlog::warn("closed a connection from {}: {}{}", std::string(address),
                 kWhy[outcome],
                 *held_back == 0 ? ""
                                 : absl::StrCat(" (", *held_back,
                                                " more not logged before)"));
  }
}

}  // namespace userprofile::access
