#include "client/adapter/work_queue.h"

#include <utility>

namespace userprofile::adapter {

using base::SteadyTime;

WorkQueue::WorkQueue(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] {
      while (RunNext()) continue;
    });
  }
}

WorkQueue::~WorkQueue() {
  {
    const base::MutexLock lock(mutex_);
    ending_ = hurried_ = true;
    changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkQueue::Add(std::function<void()> task, absl::Duration delay) {
  const base::MutexLock lock(mutex_);
  tasks_.emplace(SteadyTime::Now() + delay, std::move(task));
  // All: one that waits for a later task would leave that to nobody.
  changed_.SignalAll();
}

void WorkQueue::Hurry() {
  const base::MutexLock lock(mutex_);
  hurried_ = true;
  changed_.SignalAll();
}

// Waits for a task, and runs it; false at the end.
bool WorkQueue::RunNext() {
  std::function<void()> task;
  {
    const base::MutexLock lock(mutex_);
    while (tasks_.empty() ||
           (!hurried_ && tasks_.begin()->first > SteadyTime::Now())) {
      if (!tasks_.empty()) {
        changed_.WaitUntil(mutex_, tasks_.begin()->first);
      } else if (ending_) {
        return false;
      } else {
        changed_.Wait(mutex_);
      }
    }
    task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
  }
  task();
  return true;
}

}  // namespace userprofile::adapter
