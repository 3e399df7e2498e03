#include "server/postgres/watchdog.h"

#include <sys/socket.h>

#include <thread>

#include "spdlog/spdlog.h"

namespace userprofile::postgres {

// Lives as long as the process: sessions may be static, too.
Watchdog& Watchdog::Get() {
  static Watchdog& watchdog = *new Watchdog;
  return watchdog;
}

Watchdog::Watchdog() {
  std::thread([this] { Run(); }).detach();
}

Watchdog::Watch::Watch(int socket, absl::Duration limit)
    : watched_(limit > absl::ZeroDuration()) {
  if (!watched_) return;
  Watchdog& watchdog = Get();
  const base::SteadyTime end = base::SteadyTime::Now() + limit;
  base::MutexLock lock(watchdog.mutex_);
  entry_ = watchdog.sockets_.emplace(end, socket);
  // Limits are alike, so that this is rare.
  if (end < watchdog.wakes_at_) watchdog.changed_.SignalAll();
}

Watchdog::Watch::~Watch() {
  if (!watched_) return;
  base::MutexLock lock(Get().mutex_);
  Get().sockets_.erase(entry_);
}

void Watchdog::Run() {
  base::MutexLock lock(mutex_);
  while (true) {
    const auto now = base::SteadyTime::Now();
    auto next = sockets_.begin();
    for (; next != sockets_.end() && next->first <= now; ++next) {
      if (next->second < 0) continue;
      spdlog::warn("PostgreSQL does not answer: a connection is given up");
      shutdown(next->second, SHUT_RDWR);
      next->second = -1;
    }
    wakes_at_ = next == sockets_.end() ? base::SteadyTime::InfiniteFuture()
                                       : next->first;
    changed_.WaitUntil(mutex_, wakes_at_);
  }
}

}  // namespace userprofile::postgres
