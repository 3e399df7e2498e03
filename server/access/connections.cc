#include "server/access/connections.h"

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
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/access/peer.h"
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

// How long after the last who called has left: so that a fleet that connects
// again finds that it works from there.
constexpr absl::Duration kRemembered = absl::Minutes(30);

// What gRPC has taken is free by then, but here and there.
constexpr absl::Duration kTrimAfter = absl::Seconds(5);

// What a connection costs that nothing comes by.
constexpr int kForConnecting = 256;

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

absl::Duration TimeFor(int bytes, const ByteAllowance& of) {
  return absl::Seconds(1) * bytes / of.per_second;
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
  constexpr const char* kNames[] = {"served",
                                    "no_call",
                                    "too_many",
                                    "too_many_from_address",
                                    "too_many_strangers",
                                    "too_many_bytes",
                                    "no_descriptor"};
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
  connection.address = AddressOf(connection.peer);
  connection.since = clock_();
  connection.stranger = !connection.peer.empty();
  base::MutexLock lock(mutex_);
  ForgetAddresses(connection.since);
  if (const auto why = FindPlace(connection)) {
    Count(*why, connection.address);
    return absl::nullopt;
  }
  const int watched = fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (watched < 0) {
    Count(kNoDescriptor, connection.address);
    return absl::nullopt;
  }
  Address& address = addresses_[connection.address];
  ++address.connections;
  ++taken_;
  open_.Add(1);
  if (connection.stranger) {
    ++address.strangers;
    Spend(address, kForConnecting, connection.since);
    by_peer_[connection.peer] = watched;
    connection.place = strangers_.insert(strangers_.end(), watched);
    ++strangers_count_;
  }
  connections_.emplace(watched, std::move(connection));
  return watched;
}

void Connections::CountRefused(int socket) {
  Count(kNoDescriptor, AddressOf(PeerOfSocket(socket)));
}

absl::optional<Connections::Outcome> Connections::FindPlace(
    const Connection& newcomer) {
  const auto is_full = [&](int taken, int most, const std::string* address,
                           Outcome why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return taken >= most && !MakeRoom(address, why, newcomer.since);
  };
  if (newcomer.stranger) {
    const std::string* here = &newcomer.address;
    const Address& address = addresses_[*here];
    if (IsOver(address, newcomer.since)) return kTooManyBytes;
    if (is_full(address.connections, limits_.max_connections_per_address, here,
                kTooManyFromOne)) {
      return kTooManyFromOne;
    }
    // One who calls nothing may stay where others work: clients that connect by
    // themselves would only come again, and keep those out who call.
    if (!IsWorkedFrom(address, newcomer.since) &&
        is_full(address.strangers, limits_.max_strangers_per_address, here,
                kTooManyStrangers)) {
      return kTooManyStrangers;
    }
  }
  if (is_full(taken_, limits_.max_connections, nullptr, kTooMany)) {
    return kTooMany;
  }
  return absl::nullopt;
}

void Connections::ForgetAddresses(base::SteadyTime now) {
  if (addresses_.size() < next_forgetting_) return;
  absl::erase_if(addresses_, [now](const auto& entry) {
    return entry.second.connections == 0 &&
           entry.second.spending.IsNothing(now) &&
           entry.second.worked_from_until <= now;
  });
  next_forgetting_ = std::max(kFewAddresses, 2 * addresses_.size());
}

bool Connections::MakeRoom(const std::string* address, Outcome why,
                           base::SteadyTime now) {
  const auto oldest =
      std::find_if(strangers_.begin(), strangers_.end(),
                   [&](int watched) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                     return address == nullptr ||
                            connections_.at(watched).address == *address;
                   });
  if (oldest == strangers_.end() ||
      now - connections_.at(*oldest).since < kStrangersTime) {
    return false;
  }
  Break(*oldest, why);
  return true;
}

void Connections::Remove(int watched) {
  base::MutexLock lock(mutex_);
  const auto found = connections_.find(watched);
  if (found == connections_.end()) return;
  if (found->second.stranger) {
    Charge(found->second, BytesReceived(watched), clock_());
  }
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
  const int spent = kForConnecting + connection.received;
  Address& address = addresses_[connection.address];
  address.spending.Forgive(spent, limits_.stranger_bytes_per_address);
  spending_.Forgive(spent, limits_.stranger_bytes);
  Acquaint(connection);
}

absl::Duration Connections::CheckStrangers() {
  const base::SteadyTime now = clock_();
  std::vector<int> strangers;
  bool trim = false;
  {
    base::MutexLock lock(mutex_);
    strangers.assign(strangers_.begin(), strangers_.end());
    trim = now >= trim_at_;
    if (trim) {
      trim_at_ = base::SteadyTime::InfiniteFuture();
      untrimmed_ = 0;
    }
  }
  if (trim) malloc_trim(0);  // takes a while
  // Nobody else closes these, and calls do not wait for so many questions.
  std::vector<int> received(strangers.size());
  std::transform(strangers.begin(), strangers.end(), received.begin(),
                 BytesReceived);

  base::MutexLock lock(mutex_);
  bool sending = false;
  for (std::size_t i = 0; i < strangers.size(); ++i) {
    Connection& stranger = connections_.at(strangers[i]);
    if (!stranger.stranger) continue;  // any more
    const int before = stranger.received;
    Charge(stranger, received[i], now);
    sending = sending || stranger.received > before;
    if (stranger.received > limits_.max_stranger_bytes ||
        (stranger.received > kFirstCall &&
         IsOver(addresses_[stranger.address], now))) {
      Break(strangers[i], kTooManyBytes);
    }
  }
  return strangers_.empty()
             ? trim_at_ - now
             : std::max(sending ? kWhileTheySend : kWhileTheyWait,
                        strangers_.size() * kForEach);
}

void Connections::Charge(Connection& stranger, int received,
                         base::SteadyTime now) {
  if (received <= stranger.received) return;
  Spend(addresses_[stranger.address], received - stranger.received, now);
  stranger.received = received;
}

void Connections::Spend(Address& address, int bytes, base::SteadyTime now) {
  address.spending.Add(bytes, limits_.stranger_bytes_per_address, now);
  spending_.Add(bytes, limits_.stranger_bytes, now);
}

bool Connections::IsWorkedFrom(const Address& address, base::SteadyTime now) {
  return address.connections > address.strangers ||
         address.worked_from_until > now;
}

bool Connections::IsOver(const Address& address, base::SteadyTime now) const {
  return address.spending.IsOver(limits_.stranger_bytes_per_address, now) ||
         (!IsWorkedFrom(address, now) &&
          spending_.IsOver(limits_.stranger_bytes, now));
}

void Connections::Spending::Add(int bytes, const ByteAllowance& of,
                                base::SteadyTime now) {
  back_at_ = std::max(back_at_, now) + TimeFor(bytes, of);
}

void Connections::Spending::Forgive(int bytes, const ByteAllowance& of) {
  back_at_ = back_at_ - TimeFor(bytes, of);
}

bool Connections::Spending::IsOver(const ByteAllowance& limit,
                                   base::SteadyTime now) const {
  return back_at_ - now > TimeFor(limit.at_once, limit);
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
  Address& address = addresses_[connection.address];
  --address.connections;
  if (!connection.stranger) {
    address.worked_from_until = clock_() + kRemembered;
    return;
  }
  Acquaint(connection);
  untrimmed_ += connection.received;
  if (untrimmed_ > kFirstCall) {
    trim_at_ = std::min(trim_at_, clock_() + kTrimAfter);
  }
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
  --addresses_[connection.address].strangers;
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
        "too many are open on which no call was let in yet",
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
