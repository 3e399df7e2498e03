#ifndef USERPROFILE_SERVER_API_REQUEST_LOG_H_
#define USERPROFILE_SERVER_API_REQUEST_LOG_H_

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "ops/logging.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

// How a call was answered.
struct AnsweredCall {
  absl::string_view method;
  absl::string_view caller;
  absl::string_view trace_id;
  const absl::Status& status;
  absl::Duration duration;  // from its arrival
  store::CallTimes times;
};

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

// One line for each call that failed or was slow, with the fields method, code,
// reason, caller, duration_ms, queue_ms, database_ms, trace_id and error:
//   error    defects of the service, with everything that the status holds
//   warning  what the database or the load caused; calls that were slow
//   info     what the caller did wrong
//   debug    answers that are part of the trade, such as NOT_FOUND; callers who
//            were refused, of whom Access writes a line that says where from
// Few per second, so that callers can't flood the log: held_back says how many
// were left out before. Statuses hold no names, numbers or tokens, and so
// neither do the lines; those at debug hold user ids. Thread-safe.
class RequestLog {
 public:
  // A call that takes `slow` or longer is slow. What is logged, but for debug,
  // is also added to `recent`, which may be null.
  explicit RequestLog(absl::Duration slow = absl::Seconds(1),
                      RecentFailures* recent = nullptr)
      : slow_(slow), recent_(recent) {}

  // Whether there is anything to say of a call; costs nothing.
  bool Concerns(const absl::Status& status, absl::Duration duration) const {
    return !status.ok() || duration >= slow_;
  }

  // Of a call that concerns the log.
  void Log(const AnsweredCall& call);

 private:
  const absl::Duration slow_;
  RecentFailures* const recent_;

  // A limit of its own for each kind, so that none silences another.
  ops::LogLimiter errors_{20, absl::Seconds(10)};
  ops::LogLimiter warnings_{20, absl::Seconds(10)};
  ops::LogLimiter slow_calls_{20, absl::Seconds(10)};
  ops::LogLimiter mistakes_{20, absl::Seconds(10)};
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_REQUEST_LOG_H_
