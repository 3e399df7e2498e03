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

namespace {

// How often a statement that has no answer is looked at.
constexpr absl::Duration kLookInterval = absl::Seconds(1);

}  // namespace

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

Watchdog::Socket::Socket(int socket, std::shared_ptr<Watchdog> watchdog,
                         std::function<bool()> is_primary)
    : watchdog_(std::move(watchdog)), fd_(fcntl(socket, F_DUPFD_CLOEXEC, 0)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category());
  if (watchdog_ == nullptr) return;
  base::MutexLock lock(watchdog_->mutex_);
  watchdog_->watched_[fd_].is_primary = std::move(is_primary);
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
  const bool limited = limit != absl::ZeroDuration();
  const base::SteadyTime now = base::SteadyTime::Now();
  const auto later = [&](absl::Duration duration) {
    return limited ? now + duration : base::SteadyTime::InfiniteFuture();
  };
  base::MutexLock lock(watchdog_->mutex_);
  Watched& watched = watchdog_->watched_[fd_];
  watched.limit = later(limit);
  watched.next_look = later(kLookInterval);
  // Limits are alike, so that this is rare.
  if (std::min(watched.limit, watched.next_look) < watchdog_->wakes_at_) {
    watchdog_->changed_.SignalAll();
  }
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
      bool replaced = false;
      if (watched.next_look <= now) {
        replaced = watched.is_primary && !watched.is_primary();
        watched.next_look = now + kLookInterval;
      }
      if (replaced || watched.limit <= now) {
        spdlog::warn("{}: a connection is given up",
                     replaced ? "the server that has to answer was replaced"
                              : "PostgreSQL does not answer");
        shutdown(socket, SHUT_RDWR);
        watched.limit = base::SteadyTime::InfiniteFuture();
        watched.next_look = base::SteadyTime::InfiniteFuture();
        watched.given_up = true;
      } else if (interrupted) {
        shutdown(socket, SHUT_RDWR);
      } else {
        wakes_at_ = std::min({wakes_at_, watched.limit, watched.next_look});
      }
    }
    changed_.WaitUntil(mutex_, wakes_at_);
  }
}

}  // namespace userprofile::postgres
