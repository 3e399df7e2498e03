#ifndef USERPROFILE_SERVER_API_DEADLINES_H_
#define USERPROFILE_SERVER_API_DEADLINES_H_

#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/periodic_thread.h"
#include "base/steady_time.h"

namespace userprofile::api {

// Calls what waits for something once its time has come, some milliseconds late
// at most. To come and to go costs little, for nearly everything goes in time.
// Thread-safe.
class Deadlines {
 public:
  class Waiter {
   public:
    virtual ~Waiter() = default;

    // On a thread of the Deadlines; must not block. Called at most once.
    virtual void OnDeadline() = 0;

   private:
    friend class Deadlines;
    static constexpr std::size_t kNowhere =
        std::numeric_limits<std::size_t>::max();
    std::size_t place_ = kNowhere;  // in waiting_
  };

  Deadlines();

  // Those who wait still are forgotten.
  ~Deadlines() { thread_.Stop(); }

  // The waiter is kept until its deadline or its removal. It does not wait yet.
  void Add(std::shared_ptr<Waiter> waiter, base::SteadyTime deadline);

  // If it waits, it is forgotten; its OnDeadline may be under way, or come.
  void Remove(Waiter& waiter);

 private:
  struct Waiting {
    base::SteadyTime deadline;
    std::shared_ptr<Waiter> waiter;
  };

  // Calls those whose time has come; for how long there will be none.
  absl::Duration CallDue();

  // Takes the waiter at that place out.
  std::shared_ptr<Waiter> Take(std::size_t place)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Mutex mutex_;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  base::SteadyTime next_look_ ABSL_GUARDED_BY(mutex_);
  base::PeriodicThread thread_;  // last: uses the members above
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_DEADLINES_H_
