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
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::ops {

// The state that has this reason, in the sentence that is said of it where
// nothing more is known. See kStates in readiness.cc for all of them.
absl::Status StateOf(v1::ErrorReason reason);

// What a session that failed says of the database: the state of the reason that
// its error carries, if that is one of the database, else DATABASE_UNAVAILABLE.
// Holds none of the error's words, for they name hosts and roles.
absl::Status DatabaseState(const absl::Status& failure);

// Whether this process should be sent requests, and if not, why. One object per
// process: the schema monitor, the probe of writes and the lanes report to it;
// health checks, the admin port and the RPC handlers read it. Thread-safe.
//
// The state is a status: OK is ready; anything else is UNAVAILABLE with a
// sentence that says what is wrong and what to do, and one of the reasons in
// kStates. It begins as STARTING and ends as SHUTTING_DOWN. Of several that
// hold, one of the schema goes first, then what the probe of writes found, then
// what the monitor says of the database, then the lanes.
class Readiness {
 public:
  // Shows the state in `metrics`, which may be null, and must outlive this.
  explicit Readiness(Metrics* metrics = nullptr);

  // What is known of the schema: OK, or one of the states (base::MakeError);
  // one of the database says that nothing new is.
  void Set(absl::Status state);

  // Whether writes go through: OK, or a state of the database or STARTING. OK
  // until the first call, for processes that don't write.
  void SetWrites(absl::Status state);

  // That the database carries out the calls of this kind, or why not: a short
  // code, fit to be shown; empty if it does. While all else is right, one that
  // it does not makes the state DATABASE_UNAVAILABLE.
  void SetLane(const std::string& lane, absl::string_view failure);

  // Changes the state to SHUTTING_DOWN, for good.
  void ShutDown();

  absl::Status state() const;

  // The same, but for what the lanes say: for who knows that better.
  absl::Status StateWithoutLanes() const;

  // OK if a request may be tried: when ready, and also while the database is
  // away or takes no writes, or the process drains, after the schema was last
  // seen right: then the store decides by itself, for reads may go on, and
  // calls can wait for what is over within their deadline. Otherwise the state,
  // so that nobody is called new on a schema that is not known to be right.
  // Costs next to nothing when OK.
  absl::Status AdmitRequest() const;

  // Calls `listener` with the state now, and after each change, in order. The
  // listener must not call back; it is kept until the Readiness is destroyed.
  void Subscribe(std::function<void(const absl::Status&)> listener);

 private:
  // Tells the listeners where the state is another one than before.
  void Update() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WithoutLanes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ShowState() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Metrics* const metrics_;

  // Written under the mutex, read without it: the schema was right when it was
  // last seen.
  std::atomic<bool> admits_{false};

  mutable base::Mutex mutex_;
  absl::Status schema_ ABSL_GUARDED_BY(mutex_);  // what Set said
  absl::Status writes_ ABSL_GUARDED_BY(mutex_);  // what SetWrites said
  std::map<std::string, absl::Status> failing_lanes_ ABSL_GUARDED_BY(mutex_);
  absl::Status state_ ABSL_GUARDED_BY(mutex_);  // what comes of it all
  bool shutting_down_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void(const absl::Status&)>> listeners_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_READINESS_H_
