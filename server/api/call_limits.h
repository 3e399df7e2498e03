#ifndef USERPROFILE_SERVER_API_CALL_LIMITS_H_
#define USERPROFILE_SERVER_API_CALL_LIMITS_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "server/access/authorization.h"
#include "server/access/rate_limiter.h"

namespace userprofile::api {

// What callers may ask of the service together, and each one alone.
struct CallLimitOptions {
  // Bytes of the requests whose calls are under way. gRPC keeps a request as
  // long as its call lasts.
  std::size_t max_in_flight_bytes = std::size_t{64} << 20;

  // Calls of one caller a second, with bursts of a second's worth. Callers that
  // are not identified are told apart by their address. 0 for no limit.
  std::int64_t max_rate = 0;
};

// Refuses calls that are too many, before they cost more than their arrival.
// Thread-safe.
class CallLimits {
 public:
  explicit CallLimits(const CallLimitOptions& options);

  // The bytes of an admitted request: in flight while this lives.
  struct Release {
    void operator()(std::atomic<std::size_t>* in_flight) const {
      *in_flight -= size;
    }
    std::size_t size = 0;
  };
  using Bytes = std::unique_ptr<std::atomic<std::size_t>, Release>;

  // OK, and `held` holds the bytes; or RESOURCE_EXHAUSTED with a RetryInfo:
  // RATE_LIMITED, or OVERLOADED if there are too many bytes.
  absl::Status Admit(const grpc::CallbackServerContext& context,
                     const access::Caller& caller, std::size_t size,
                     Bytes* held);

 private:
  const std::size_t max_in_flight_bytes_;
  std::atomic<std::size_t> in_flight_bytes_{0};
  std::optional<access::RateLimiter> rate_;
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_CALL_LIMITS_H_
