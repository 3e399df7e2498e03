#ifndef USERPROFILE_OPS_READINESS_H_
#define USERPROFILE_OPS_READINESS_H_

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "ops/metrics.h"

namespace userprofile::ops {

// Whether this process should be sent requests, and if not, why. One object per
// process: the schema monitor reports to it; health checks, the admin port and
// the RPC handlers read it. Thread-safe.
//
// The state is a status: OK is ready; anything else is UNAVAILABLE with a
// sentence that says what is wrong and what to do, and one of the reasons
//   STARTING              nothing is known yet (the first state)
//   SCHEMA_NOT_READY      the schema is not what the service needs
//   DATABASE_UNAVAILABLE  no database was reached for some seconds, or it has
//                         carried out no call of some kind
//   SHUTTING_DOWN         the last state
class Readiness {
 public:
  // Shows the state in `metrics`, which may be null, and must outlive this.
  explicit Readiness(Metrics* metrics = nullptr);

  // Changes the state, unless the process is shutting down. `state` is OK or
  // one of the errors above (base::MakeError).
  void Set(absl::Status state);

  // That the database carries out the calls of this kind, or why not: a short
  // code, fit to be shown; empty if it does. While all else is right, one that
  // it does not makes the state DATABASE_UNAVAILABLE.
  void SetLane(const std::string& lane, absl::string_view failure);

  // Changes the state to SHUTTING_DOWN, for good.
  void ShutDown();

  absl::Status state() const;

  // OK if a request may be tried: when ready, and also while the database is
  // away or the process drains after the schema was last seen right, for the
  // store then decides by itself. Otherwise the state, so that nobody is called
  // new on a schema that is not known to be right. Costs next to nothing when
  // OK.
  absl::Status AdmitRequest() const;

  // Calls `listener` with the state now, and after each change, in order. The
  // listener must not call back; it is kept until the Readiness is destroyed.
  void Subscribe(std::function<void(const absl::Status&)> listener);

 private:
  // Tells the listeners where the state is another one than before.
  void Update() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ShowState() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Metrics* const metrics_;

  // Written under the mutex, read without it: the schema was right when it was
  // last seen.
  std::atomic<bool> admits_{false};

  mutable base::Mutex mutex_;
  absl::Status schema_ ABSL_GUARDED_BY(mutex_);  // what Set said
  std::map<std::string, absl::Status> failing_lanes_ ABSL_GUARDED_BY(mutex_);
  absl::Status state_ ABSL_GUARDED_BY(mutex_);  // what comes of it all
  bool shutting_down_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void(const absl::Status&)>> listeners_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_READINESS_H_
