#ifndef USERPROFILE_CLIENT_ADAPTER_STOP_EVENT_H_
#define USERPROFILE_CLIENT_ADAPTER_STOP_EVENT_H_

#include "absl/time/time.h"

namespace userprofile::adapter {

// Something that happens once and that poll() can wait for. Thread-safe.
class StopEvent {
 public:
  StopEvent();
  ~StopEvent();
  StopEvent(const StopEvent&) = delete;
  StopEvent& operator=(const StopEvent&) = delete;

  // May be called from a signal handler.
  void Set();

  bool IsSet() const { return WaitFor(absl::ZeroDuration()); }

  // Waits until it is set, for `patience` at most; whether it is.
  bool WaitFor(absl::Duration patience) const;

  // Readable (POLLIN) once set.
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// From now on the first SIGTERM or SIGINT of this process sets `event`, and the
// next one ends the process at once. `event` must live as long as the process.
void StopOnSignals(StopEvent& event);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_STOP_EVENT_H_
