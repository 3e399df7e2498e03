#include "server/api/request_log.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/error_info.h"
#include "server/access/access.h"
#include "server/api/status.h"
#include "spdlog/spdlog.h"

namespace userprofile::api {
namespace {

namespace level = spdlog::level;

level::level_enum LevelOf(const absl::Status& status) {
  if (access::IsRefusal(status)) return level::debug;  // Access has said more
  if (IsHiddenFromCallers(status)) return level::err;
  switch (status.code()) {
    case absl::StatusCode::kOk:  // but slow
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
      return level::warn;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:  // another revision is stored
    case absl::StatusCode::kCancelled:
      return level::debug;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return level::info;
    default:
      return level::err;
  }
}

}  // namespace

void RecentFailures::Add(Failure failure) {
  base::MutexLock lock(mutex_);
  failures_.push_front(std::move(failure));
  if (failures_.size() > capacity_) failures_.pop_back();
}

std::vector<Failure> RecentFailures::List() const {
  base::MutexLock lock(mutex_);
  return {failures_.begin(), failures_.end()};
}

void RequestLog::Log(const AnsweredCall& call) {
  const level::level_enum level = LevelOf(call.status);
  std::int64_t held_back = 0;
  if (level > level::debug) {
    ops::LogLimiter& limiter = call.status.ok()       ? slow_calls_
                               : level == level::err  ? errors_
                               : level == level::warn ? warnings_
                                                      : mistakes_;
    const auto admitted = limiter.Admit();
    if (!admitted) return;
    held_back = *admitted;
  } else if (!spdlog::should_log(level)) {
    return;
  }
  const std::string code = absl::StatusCodeToString(call.status.code());
  const std::string reason = base::ErrorReason(call.status);
  if (recent_ != nullptr && level > level::debug) {
    recent_->Add({absl::Now(), std::string(call.method), code, reason,
                  std::string(call.caller), std::string(call.trace_id),
                  call.duration});
  }
  std::vector<ops::LogField> fields = {
      {"method", call.method},
      {"code", code},
      {"reason", reason},
      {"caller", call.caller},
      {"duration_ms", absl::ToDoubleMilliseconds(call.duration)},
      {"queue_ms", absl::ToDoubleMilliseconds(call.times.queue)},
      {"database_ms", absl::ToDoubleMilliseconds(call.times.database)},
      {"trace_id", call.trace_id}};
  if (!call.status.ok()) fields.push_back({"error", call.status.message()});
  if (held_back > 0) fields.push_back({"held_back", held_back});
  ops::Log(level, call.status.ok() ? "a call was slow" : "a call failed",
           fields);
}

}  // namespace userprofile::api
