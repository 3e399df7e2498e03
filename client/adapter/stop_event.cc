#include "client/adapter/stop_event.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>

#include "base/steady_time.h"

namespace userprofile::adapter {
namespace {

std::atomic<StopEvent*> signalled_event{nullptr};

void OnSignal(int) {
  const int saved_errno = errno;
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  signalled_event.load()->Set();
  errno = saved_errno;
}

}  // namespace

StopEvent::StopEvent() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) std::abort();  // no descriptors left: nothing would work
}

StopEvent::~StopEvent() { ::close(fd_); }

void StopEvent::Set() {
  const std::uint64_t one = 1;
  // Can only fail if it is set already, a great many times.
  [[maybe_unused]] const ssize_t written = ::write(fd_, &one, sizeof(one));
}

bool StopEvent::WaitFor(absl::Duration patience) const {
  const auto end = base::SteadyTime::Now() + patience;
  while (true) {
    const auto left = absl::ToInt64Milliseconds(
        absl::Ceil(end - base::SteadyTime::Now(), absl::Milliseconds(1)));
    pollfd event{fd_, POLLIN, 0};
    const int ready =
        ::poll(&event, 1,
               static_cast<int>(std::clamp<std::int64_t>(left, 0, 60 * 1000)));
    if (ready == 1) return true;
    if (left <= 0) return false;
  }
}

void StopOnSignals(StopEvent& event) {
  signalled_event = &event;
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
}

}  // namespace userprofile::adapter
