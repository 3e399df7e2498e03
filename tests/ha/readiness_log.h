#ifndef USERPROFILE_TESTS_HA_READINESS_LOG_H_
#define USERPROFILE_TESTS_HA_READINESS_LOG_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/periodic_thread.h"
#include "base/steady_time.h"
#include "tests/support/server_program.h"

namespace userprofile::testing {

// Asks a server twenty times a second whether it is ready, from construction
// on, and keeps when that changed. Thread-safe.
class ReadinessLog {
 public:
  struct Change {
    base::SteadyTime time;
    bool ready;
    std::string reason;  // what /readyz said
  };

  // The server is ready when this begins, and outlives it.
  explicit ReadinessLog(const ServerProgram* server);

  bool ready() const;

  // The first time from `time` on that it became unready, or ready.
  absl::optional<Change> FirstOff(base::SteadyTime time) const;

  // When it became ready for the last time; none if it always was.
  absl::optional<Change> LastOn() const;

 private:
  void Look();

  const ServerProgram* const server_;
  mutable base::Mutex mutex_;
  std::vector<Change> changes_ ABSL_GUARDED_BY(mutex_);
  base::PeriodicThread thread_;  // last: starts when all else is made
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_HA_READINESS_LOG_H_
