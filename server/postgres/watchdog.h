#ifndef USERPROFILE_SERVER_POSTGRES_WATCHDOG_H_
#define USERPROFILE_SERVER_POSTGRES_WATCHDOG_H_

#include <map>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/steady_time.h"

namespace userprofile::postgres {

// Breaks connections that were waited for too long. libpq waits for an answer
// without a limit, and PostgreSQL's own time-outs do not help where it is
// frozen, or waits for a standby that is gone: that holds up a commit after
// statement_timeout has ended.
//
// One for the process, with a thread of its own. Thread-safe.
class Watchdog {
 public:
  static Watchdog& Get();

  // Watches a socket while it lives. Once the time is up the socket is shut
  // down, so that whoever reads finds the connection lost. The descriptor must
  // stay open as long: not libpq's own, which libpq closes when it likes, but a
  // duplicate. A limit of zero watches nothing.
  class Watch {
   public:
    Watch(int socket, absl::Duration limit);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    const bool watched_;
    std::multimap<base::SteadyTime, int>::iterator entry_;
  };

 private:
  Watchdog();
  void Run();

  base::Mutex mutex_;
  base::CondVar changed_;
  std::multimap<base::SteadyTime, int> sockets_ ABSL_GUARDED_BY(mutex_);
  base::SteadyTime wakes_at_ ABSL_GUARDED_BY(mutex_) =
      base::SteadyTime::InfiniteFuture();
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_WATCHDOG_H_
