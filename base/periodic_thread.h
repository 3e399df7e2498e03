#ifndef USERPROFILE_BASE_PERIODIC_THREAD_H_
#define USERPROFILE_BASE_PERIODIC_THREAD_H_

#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace userprofile::base {

// A thread that does the same work again and again, with pauses, until it is
// stopped. Thread-safe.
class PeriodicThread {
 public:
  // Calls `work` at once, and then each time after the pause that it returned;
  // never again after an infinite one. What `work` uses must outlive this: let
  // it be the last member of its class.
  explicit PeriodicThread(std::function<absl::Duration()> work);

  ~PeriodicThread();  // calls Stop()
  PeriodicThread(const PeriodicThread&) = delete;
  PeriodicThread& operator=(const PeriodicThread&) = delete;

  // A call of `work` begins after this one without a pause before it.
  void Wake();

  // No further call of `work` begins. Does not wait for one that is under way.
  void AskToStop();

  // Whether somebody asked; for work that takes long.
  bool stopping() const;

  // AskToStop, and waits for the end of what is under way. Not to be called by
  // `work`. Further calls do nothing.
  void Stop();

  // Waits until the last call of `work` has returned, or for a while.
  void AwaitEnd(absl::Duration patience);

 private:
  void Run();

  const std::function<absl::Duration()> work_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: uses the members above
};

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_PERIODIC_THREAD_H_
