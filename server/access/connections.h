#ifndef USERPROFILE_SERVER_ACCESS_CONNECTIONS_H_
#define USERPROFILE_SERVER_ACCESS_CONNECTIONS_H_

#include <grpcpp/server_context.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "ops/logging.h"
#include "ops/metrics.h"

namespace userprofile::access {

struct ByteAllowance {
  int at_once;
  int per_second;
};

// What connections may take of the server.
struct ConnectionLimits {
  // Open at a time, in all and from one address. A newcomer over that is
  // closed, never one that works.
  int max_connections = 4096;
  int max_connections_per_address = 2048;

  // The same of strangers, where nobody works from their address. Each may
  // begin as many calls as a connection may have at a time and never end them,
  // and gRPC takes some 12 KiB for each.
  int max_strangers_per_address = 64;

  // What a stranger may send, TLS and all. A client may send 64 KiB of messages
  // (HTTP/2's first window), and the headers of its calls, before it heard
  // anything; this is twice as much.
  int max_stranger_bytes = 128 << 10;

  // What strangers of one address may send together, and what all may. 28 bytes
  // are enough for a call that is made only to be taken back, and gRPC takes
  // some 5 KiB for each until it comes to it.
  ByteAllowance stranger_bytes_per_address = {256 << 10, 64 << 10};
  ByteAllowance stranger_bytes = {1 << 20, 256 << 10};
};

// The connections of the port for calls. Who connects is a stranger until a
// first call on that connection was let in. What strangers send is limited, for
// gRPC reads and parses whatever comes (CVE-2023-33953, CVE-2023-44487); where
// an address is over its limit, it gets no new connections for a while, and
// those of its strangers are broken that sent more than a first call takes.
// Where all strangers are over theirs, that holds for each address that nobody
// works from: nobody whose call was let in is there, or was a while ago. The
// oldest stranger makes room when all places are taken. A connection by a Unix
// socket is no stranger: the socket's directory says who may connect.
//
// Each is watched by a second descriptor of its socket, so that it can be
// broken whatever gRPC does with it. Thread-safe, but for Remove and
// CheckStrangers, which one thread calls.
class Connections {
 public:
  // `metrics` may be null, and must outlive this. Lowers what it was told to
  // what the limit of open files allows, and says so in the log.
  explicit Connections(const ConnectionLimits& limits = {},
                       ops::Metrics* metrics = nullptr,
                       base::SteadyClock clock = base::SteadyTime::Now);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // A connection was accepted. Returns the descriptor by which it is watched,
  // which hangs up when the connection has ended (EPOLLHUP); then call Remove.
  // Nothing if there are too many: close it.
  absl::optional<int> Add(int socket);
  void Remove(int watched);

  // A connection was accepted only to be closed: there is no descriptor left.
  void CountRefused(int socket);

  // A call on this connection was let in. Costs next to nothing while there are
  // no strangers.
  void Welcome(const grpc::CallbackServerContext& context) {
    if (strangers_count_ > 0) Welcome(context.peer());
  }
  void Welcome(absl::string_view peer);  // as gRPC names it

  // Breaks the connections of strangers who sent too much; some time after
  // strangers left, gives the memory back that they took. Returns when it wants
  // to be called again; infinite: after the next newcomer.
  absl::Duration CheckStrangers();

 private:
  enum Outcome {
    kServed,            // ended after a call that was let in
    kNoCall,            // ended without one: a probe, a failed handshake
    kTooMany,           // refused, or made room for another
    kTooManyFromOne,    // the same, for too many from its address
    kTooManyStrangers,  // the same, for too many strangers
    kTooManyBytes,      // a stranger that sent too much
    kNoDescriptor,      // refused: the process has too many files open
    kOutcomes,
  };

  struct Connection {
    std::string peer;
    std::string address;
    base::SteadyTime since;
    int received = 0;  // when last looked at, of a stranger
    bool stranger = true;
    bool left = false;
    Outcome outcome = kNoCall;
    std::list<int>::iterator place;  // among the strangers
  };

  // What was spent of an allowance. It comes back as time goes by.
  class Spending {
   public:
    void Add(int bytes, const ByteAllowance& of, base::SteadyTime now);
    void Forgive(int bytes, const ByteAllowance& of);
    bool IsOver(const ByteAllowance& limit, base::SteadyTime now) const;
    bool IsNothing(base::SteadyTime now) const { return back_at_ <= now; }

   private:
    base::SteadyTime back_at_;
  };

  struct Address {
    int connections = 0;  // that are not broken
    int strangers = 0;    // of them
    Spending spending;    // of strangers

    // Of who called, and left: until when somebody works from there
    // nevertheless.
    base::SteadyTime worked_from_until;
  };

  // Why there is none, if there is none: the oldest stranger may have to make
  // room.
  absl::optional<Outcome> FindPlace(const Connection& newcomer)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Takes what it has sent by now. The address answers for it until it is
  // known, and so do all strangers.
  void Charge(Connection& stranger, int received, base::SteadyTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Spend(Address& address, int bytes, base::SteadyTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static bool IsWorkedFrom(const Address& address, base::SteadyTime now);
  bool IsOver(const Address& address, base::SteadyTime now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Those that there is nothing to know of.
  void ForgetAddresses(base::SteadyTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Breaks the connection of the oldest stranger at that address, or of all if
  // it is null, provided that it had its time.
  bool MakeRoom(const std::string* address, Outcome why, base::SteadyTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives its place to others.
  void Leave(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Break(int watched, Outcome outcome)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Acquaint(Connection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Count(Outcome outcome, absl::string_view address);

  ConnectionLimits limits_;
  const base::SteadyClock clock_;
  const ops::Gauge open_;
  std::array<ops::Counter, kOutcomes> ended_;
  ops::LogLimiter log_{5, absl::Seconds(10)};

  std::atomic<std::size_t> strangers_count_{0};

  base::Mutex mutex_;
  absl::flat_hash_map<int, Connection> connections_
      ABSL_GUARDED_BY(mutex_);  // by the watched descriptor
  std::list<int> strangers_ ABSL_GUARDED_BY(mutex_);  // the oldest first
  absl::flat_hash_map<std::string, int> by_peer_
      ABSL_GUARDED_BY(mutex_);             // of strangers
  int taken_ ABSL_GUARDED_BY(mutex_) = 0;  // that are not broken
  Spending spending_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Address> addresses_ ABSL_GUARDED_BY(mutex_);
  std::size_t next_forgetting_ ABSL_GUARDED_BY(mutex_) = 0;
  // What strangers who left had sent.
  std::int64_t untrimmed_ ABSL_GUARDED_BY(mutex_) = 0;
  base::SteadyTime trim_at_ ABSL_GUARDED_BY(mutex_) =
      base::SteadyTime::InfiniteFuture();
};

}  // namespace userprofile::access

#endif  // USERPROFILE_SERVER_ACCESS_CONNECTIONS_H_
