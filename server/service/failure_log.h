#ifndef USERPROFILE_SERVER_SERVICE_FAILURE_LOG_H_
#define USERPROFILE_SERVER_SERVICE_FAILURE_LOG_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/ops/log_limiter.h"

namespace userprofile::service {

// Logs the calls that failed, without letting callers flood the log:
//   error    defects of the service, with everything that the status holds
//   warning  what the database or the load caused
//   debug    what the caller caused
// Statuses hold no personal data, and so neither do the lines. Thread-safe.
class FailureLog {
 public:
  void Log(absl::string_view method, const absl::Status& status);

 private:
  // A limit of its own for each level, so that none silences another.
  ops::LogLimiter errors_{20, absl::Seconds(10)};
  ops::LogLimiter warnings_{20, absl::Seconds(10)};
};

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_FAILURE_LOG_H_
