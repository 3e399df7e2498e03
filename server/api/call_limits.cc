#include "server/api/call_limits.h"

#include <algorithm>
#include <string>

#include "base/error_info.h"
#include "server/access/peer.h"

namespace userprofile::api {
namespace {

// Long enough for some of the bytes to go.
constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);

absl::Status RateLimited(absl::Duration wait) {
  return base::WithRetryDelay(
      base::MakeError(absl::StatusCode::kResourceExhausted,
                      "this caller makes more calls a second than the server "
                      "allows; try again a little later",
                      v1::ERROR_REASON_RATE_LIMITED),
      std::max(wait, absl::Milliseconds(1)));
}

absl::Status TooManyBytes() {
  return base::WithRetryDelay(
      base::MakeError(absl::StatusCode::kResourceExhausted,
                      "too many bytes of requests are in flight; try again a "
                      "little later",
                      v1::ERROR_REASON_OVERLOADED),
      kRetryDelay);
}

}  // namespace

CallLimits::CallLimits(const CallLimitOptions& options)
    : max_in_flight_bytes_(options.max_in_flight_bytes) {
  if (options.max_rate == 0) return;
  const auto rate = static_cast<double>(options.max_rate);
  rate_.emplace(rate, rate);
}

absl::Status CallLimits::Admit(const grpc::CallbackServerContext& context,
                               const access::Caller& caller, std::size_t size,
                               Bytes* held) {
  if (rate_) {
    const absl::Duration wait =
        rate_->Take(&caller == access::AnybodyTrusted().get()
                        ? access::AddressOf(context.peer())
                        : caller.name);
    if (wait > absl::ZeroDuration()) return RateLimited(wait);
  }
  Bytes bytes(&in_flight_bytes_, Release{size});
  if ((in_flight_bytes_ += size) > max_in_flight_bytes_) return TooManyBytes();
  *held = std::move(bytes);
  return absl::OkStatus();
}

}  // namespace userprofile::api
