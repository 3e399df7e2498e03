#ifndef USERPROFILE_SERVER_OPS_RECENT_FAILURES_H_
#define USERPROFILE_SERVER_OPS_RECENT_FAILURES_H_

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace userprofile::ops {

// A call that failed, or was slow. Nothing in it is of a user.
struct Failure {
  absl::Time time;
  std::string method;
  std::string code;    // of gRPC; "OK" for a call that was slow
  std::string reason;  // of google.rpc.ErrorInfo; may be empty
  std::string caller;
  std::string trace_id;
  absl::Duration duration;
};

// The newest of them, for the status page. Thread-safe.
class RecentFailures {
 public:
  explicit RecentFailures(std::size_t capacity = 50) : capacity_(capacity) {}

  // Forgets the oldest if there are too many.
  void Add(Failure failure);

  // The newest first.
  std::vector<Failure> List() const;

 private:
  const std::size_t capacity_;
  mutable base::Mutex mutex_;
  std::deque<Failure> failures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_SERVER_OPS_RECENT_FAILURES_H_
