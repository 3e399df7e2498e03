#include "tests/ha/readiness_log.h"

namespace userprofile::testing {

using base::SteadyTime;

ReadinessLog::ReadinessLog(const ServerProgram* server)
    : server_(server), thread_([this] {
        Look();
        return absl::Milliseconds(50);
      }) {}

bool ReadinessLog::ready() const {
  base::MutexLock lock(mutex_);
  return changes_.empty() || changes_.back().ready;
}

absl::optional<ReadinessLog::Change> ReadinessLog::FirstOff(
    SteadyTime time) const {
  base::MutexLock lock(mutex_);
  for (const Change& change : changes_) {
    if (!change.ready && change.time >= time) return change;
  }
  return absl::nullopt;
}

absl::optional<ReadinessLog::Change> ReadinessLog::LastOn() const {
  base::MutexLock lock(mutex_);
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    if (change->ready) return *change;
  }
  return absl::nullopt;
}

void ReadinessLog::Look() {
  const ServerProgram::Page page = server_->Get("/readyz");
  if ((page.code == 200) == ready()) return;
  base::MutexLock lock(mutex_);
  changes_.push_back({SteadyTime::Now(), page.code == 200, page.body});
}

}  // namespace userprofile::testing
