#include "server/service/failure_log.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/service/status.h"
#include "spdlog/spdlog.h"

namespace userprofile::service {
namespace {

spdlog::level::level_enum LevelOf(const absl::Status& status) {
  if (IsHiddenFromCallers(status)) return spdlog::level::err;
  switch (status.code()) {
    case absl::StatusCode::kInternal:
      return spdlog::level::err;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
      return spdlog::level::warn;
    default:
      return spdlog::level::debug;
  }
}

}  // namespace

void FailureLog::Log(absl::string_view method, const absl::Status& status) {
  const auto level = LevelOf(status);
  if (!spdlog::should_log(level)) return;
  std::string held_back;
  if (level > spdlog::level::debug) {
    const auto admitted =
        (level == spdlog::level::err ? errors_ : warnings_).Admit();
    if (!admitted) return;
    if (*admitted > 0) {
      held_back = absl::StrCat(" (", *admitted, " more not logged before)");
    }
  }
  spdlog::log(level, "{} failed: {} {}: {}{}", std::string(method),
              absl::StatusCodeToString(status.code()),
              base::ErrorReason(status), std::string(status.message()),
              held_back);
}

}  // namespace userprofile::service
