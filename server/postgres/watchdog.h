#ifndef USERPROFILE_SERVER_POSTGRES_WATCHDOG_H_
#define USERPROFILE_SERVER_POSTGRES_WATCHDOG_H_

#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/steady_time.h"

namespace userprofile::postgres {

// Breaks connections that were waited for too long, or all of them. libpq waits
// for an answer without a limit, and PostgreSQL's own time-outs do not help
// where it is frozen, or waits for a standby that is gone: that holds up a
// commit after statement_timeout has ended. Thread-safe.
class Watchdog {
 public:
  Watchdog();
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // From then on, all connections are broken, also those that are made later:
  // their statements fail with UNAVAILABLE. PostgreSQL sees that within
  // seconds, and gives up what it was doing for them.
  void InterruptAt(base::SteadyTime time);

  // The socket of a connection, which can be broken while this lives. A
  // duplicate: libpq closes its own whenever it gives the connection up, and
  // the number may be somebody else's then. Throws std::system_error if there
  // can be none.
  class Socket {
   public:
    // `watchdog` may be null. `is_primary` says whether the server still is
    // one; null: always. Called by any thread, must not block.
    Socket(int socket, std::shared_ptr<Watchdog> watchdog,
           std::function<bool()> is_primary);
    ~Socket();
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    // Breaks the connection when this time is up, or when it has been for a
    // second or more and the server is no primary any more; zero: never. Counts
    // from now, instead of any limit before.
    void Limit(absl::Duration limit);

    // Whether it was broken for that.
    bool given_up() const;

   private:
    const std::shared_ptr<Watchdog> watchdog_;
    const int fd_;
  };

 private:
  struct Watched {
    std::function<bool()> is_primary;
    base::SteadyTime limit = base::SteadyTime::InfiniteFuture();
    base::SteadyTime next_look = base::SteadyTime::InfiniteFuture();
    bool given_up = false;
  };

  void Run();

  base::Mutex mutex_;
  base::CondVar changed_;
  std::map<int, Watched> watched_ ABSL_GUARDED_BY(mutex_);  // by socket
  base::SteadyTime interrupt_at_ ABSL_GUARDED_BY(mutex_) =
      base::SteadyTime::InfiniteFuture();
  base::SteadyTime wakes_at_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: uses the members above
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_WATCHDOG_H_
