#ifndef USERPROFILE_SERVER_SERVICE_ATTEMPT_LIMITER_H_
#define USERPROFILE_SERVER_SERVICE_ATTEMPT_LIMITER_H_

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"

namespace userprofile::service {

// Counts what each peer tried in vain: a hundred times at once, and once a
// second after that. Remembers a thousand peers; more share what is left, so
// that no number of peers takes more memory. Thread-safe.
class AttemptLimiter {
 public:
  explicit AttemptLimiter(base::Clock clock = absl::Now)
      : clock_(std::move(clock)) {}

  // Counts one more. Whether it is still within the limit.
  bool Count(absl::string_view peer);

 private:
  void ForgetTheCalm(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock clock_;

  // For each peer, when it will have made up for its attempts.
  base::Mutex mutex_;
  std::map<std::string, absl::Time, std::less<>> calm_at_
      ABSL_GUARDED_BY(mutex_);
};

// Who is at the other end, without the port: "10.0.0.7" for what gRPC calls
// "ipv4:10.0.0.7:41022", "2001:db8::7" for "ipv6:%5B2001:db8::7%5D:41022".
std::string PeerOf(absl::string_view grpc_peer);

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_ATTEMPT_LIMITER_H_
