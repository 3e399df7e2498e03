#include "server/postgres/watchdog.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "spdlog/spdlog.h"

namespace userprofile::postgres {

Watchdog::Watchdog() : thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    base::MutexLock lock(mutex_);
    ending_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void Watchdog::InterruptAt(base::SteadyTime time) {
  base::MutexLock lock(mutex_);
  interrupt_at_ = time;
  changed_.SignalAll();
}

Watchdog::Socket::Socket(int socket, std::shared_ptr<Watchdog> watchdog)
    : watchdog_(std::move(watchdog)), fd_(fcntl(socket, F_DUPFD_CLOEXEC, 0)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category());
  if (watchdog_ == nullptr) return;
  base::MutexLock lock(watchdog_->mutex_);
  watchdog_->watched_[fd_] = Watched();
  if (watchdog_->interrupt_at_ != base::SteadyTime::InfiniteFuture()) {
    watchdog_->changed_.SignalAll();
  }
}

Watchdog::Socket::~Socket() {
  if (watchdog_ != nullptr) {
    base::MutexLock lock(watchdog_->mutex_);
    watchdog_->watched_.erase(fd_);
  }
  close(fd_);
}

void Watchdog::Socket::Limit(absl::Duration limit) {
  if (watchdog_ == nullptr) return;
  const base::SteadyTime end = limit == absl::ZeroDuration()
                                   ? base::SteadyTime::InfiniteFuture()
                                   : base::SteadyTime::Now() + limit;
  base::MutexLock lock(watchdog_->mutex_);
  watchdog_->watched_[fd_].limit = end;
  // Limits are alike, so that this is rare.
  if (end < watchdog_->wakes_at_) watchdog_->changed_.SignalAll();
}

bool Watchdog::Socket::given_up() const {
  if (watchdog_ == nullptr) return false;
  base::MutexLock lock(watchdog_->mutex_);
  return watchdog_->watched_[fd_].given_up;
}

void Watchdog::Run() {
  base::MutexLock lock(mutex_);
  while (!ending_) {
    const auto now = base::SteadyTime::Now();
    const bool interrupted = interrupt_at_ <= now;
    wakes_at_ =
        interrupted ? base::SteadyTime::InfiniteFuture() : interrupt_at_;
    for (auto& [socket, watched] : watched_) {
      if (watched.limit <= now) {
        spdlog::warn("PostgreSQL does not answer: a connection is given up");
        shutdown(socket, SHUT_RDWR);
        watched.limit = base::SteadyTime::InfiniteFuture();
        watched.given_up = true;
      } else if (interrupted) {
        shutdown(socket, SHUT_RDWR);
      } else {
        wakes_at_ = std::min(wakes_at_, watched.limit);
      }
    }
    changed_.WaitUntil(mutex_, wakes_at_);
  }
}

}  // namespace userprofile::postgres
