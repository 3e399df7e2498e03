#ifndef USERPROFILE_CLIENT_ADAPTER_WORK_QUEUE_H_
#define USERPROFILE_CLIENT_ADAPTER_WORK_QUEUE_H_

#include <cstddef>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/steady_time.h"

namespace userprofile::adapter {

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
