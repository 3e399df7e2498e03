#ifndef USERPROFILE_CLIENT_ADAPTER_WORK_QUEUE_H_
#define USERPROFILE_CLIENT_ADAPTER_WORK_QUEUE_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/steady_time.h"

namespace userprofile::adapter {

// How long to wait before the next try: from a tenth of a second, twice as long
// each time, up to five; a fifth more or less, so that many do not come back at
// once. Of one thread.
class Backoff {
 public:
  absl::Duration Next() {
    const absl::Duration wait =
        wait_ * std::uniform_real_distribution<>(0.8, 1.2)(random_);
    wait_ = std::min(wait_ * 2, absl::Seconds(5));
    return wait;
  }

 private:
  absl::Duration wait_ = absl::Milliseconds(100);
  std::minstd_rand random_{std::random_device()()};
};

// Threads that run tasks, each when its time has come, so that what waits for
// another try keeps no thread. Thread-safe.
class WorkQueue {
 public:
  explicit WorkQueue(std::size_t threads);

  // Runs everything that is left, without delay.
  ~WorkQueue();

  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Runs the task on one of the threads. Those of the same time keep their
  // order.
  void Add(std::function<void()> task,
           absl::Duration delay = absl::ZeroDuration());

  // From now on, nothing is delayed.
  void Hurry();

 private:
  bool RunNext();

  base::Mutex mutex_;
  base::CondVar changed_;
  std::multimap<base::SteadyTime, std::function<void()>> tasks_
      ABSL_GUARDED_BY(mutex_);
  bool hurried_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_WORK_QUEUE_H_
