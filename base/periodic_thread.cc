#include "base/periodic_thread.h"

#include <utility>

#include "base/steady_time.h"

namespace userprofile::base {

PeriodicThread::PeriodicThread(std::function<absl::Duration()> work)
    : work_(std::move(work)), thread_([this] { Run(); }) {}

PeriodicThread::~PeriodicThread() { Stop(); }

void PeriodicThread::Wake() {
  MutexLock lock(mutex_);
  woken_ = true;
  changed_.SignalAll();
}

void PeriodicThread::AskToStop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  changed_.SignalAll();
}

bool PeriodicThread::stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

void PeriodicThread::Stop() {
  AskToStop();
  if (thread_.joinable()) thread_.join();
}

void PeriodicThread::AwaitEnd(absl::Duration patience) {
  const SteadyTime give_up = SteadyTime::Now() + patience;
  MutexLock lock(mutex_);
  while (!ended_ && SteadyTime::Now() < give_up) {
    changed_.WaitUntil(mutex_, give_up);
  }
}

void PeriodicThread::Run() {
  absl::Duration pause = absl::ZeroDuration();
  while (true) {
    {
      const SteadyTime next = SteadyTime::Now() + pause;
      MutexLock lock(mutex_);
      while (!stopping_ && !woken_ && SteadyTime::Now() < next &&
             pause != absl::InfiniteDuration()) {
        changed_.WaitUntil(mutex_, next);
      }
      if (stopping_ || pause == absl::InfiniteDuration()) {
        ended_ = true;
        changed_.SignalAll();
        return;
      }
      woken_ = false;
    }
    pause = work_();
  }
}

}  // namespace userprofile::base
