#include "ops/readiness.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace userprofile::ops {
namespace {

absl::Status Starting() {
  return base::MakeError(absl::StatusCode::kUnavailable,
                         "the service starts and has not seen its database "
                         "yet; try again",
                         v1::ERROR_REASON_STARTING);
}

absl::Status ShuttingDown() {
  return base::MakeError(absl::StatusCode::kUnavailable,
                         "this server shuts down; try again, another one will "
                         "answer",
                         v1::ERROR_REASON_SHUTTING_DOWN);
}

// The code is all of the cause that may be shown: the driver's words name
// hosts, roles and paths.
absl::Status LaneFails(absl::string_view lane, absl::string_view code) {
  return base::MakeError(absl::StatusCode::kUnavailable,
                         absl::StrCat("PostgreSQL carries out no ", lane, " (",
                                      code, "); the log says more"),
                         v1::ERROR_REASON_DATABASE_UNAVAILABLE);
}

}  // namespace

Readiness::Readiness(Metrics* metrics)
    : metrics_(metrics), schema_(Starting()), state_(schema_) {
  base::MutexLock lock(mutex_);
  ShowState();
}

void Readiness::Set(absl::Status state) {
  base::MutexLock lock(mutex_);
  if (shutting_down_) return;
  // An absent database says nothing about the schema.
  if (base::ErrorReason(state) !=
      base::ReasonName(v1::ERROR_REASON_DATABASE_UNAVAILABLE)) {
    admits_ = state.ok();
  }
  schema_ = std::move(state);
  Update();
}

void Readiness::SetLane(const std::string& lane, absl::string_view failure) {
  base::MutexLock lock(mutex_);
  if (failure.empty()) {
    failing_lanes_.erase(lane);
  } else {
    failing_lanes_[lane] = LaneFails(lane, failure);
  }
  Update();
}

void Readiness::ShutDown() {
  base::MutexLock lock(mutex_);
  shutting_down_ = true;
  Update();
}

absl::Status Readiness::state() const {
  base::MutexLock lock(mutex_);
  return state_;
}

absl::Status Readiness::AdmitRequest() const {
  if (admits_) return absl::OkStatus();
  base::MutexLock lock(mutex_);
  return admits_ ? absl::OkStatus() : state_;
}

void Readiness::Subscribe(std::function<void(const absl::Status&)> listener) {
  base::MutexLock lock(mutex_);
  listener(state_);
  listeners_.push_back(std::move(listener));
}

void Readiness::Update() {
  absl::Status state = schema_;
  if (state.ok() && !failing_lanes_.empty()) {
    state = failing_lanes_.begin()->second;
  }
  if (shutting_down_) state = ShuttingDown();
  if (state == state_) return;
  state_ = std::move(state);
  ShowState();
  for (const auto& listener : listeners_) listener(state_);
}

void Readiness::ShowState() {
  const std::string now = state_.ok() ? "READY" : base::ErrorReason(state_);
  Gauge(metrics_, "userprofile_ready",
        "Whether this process is ready to be sent requests.")
      .Set(state_.ok() ? 1 : 0);
  for (const char* state : {"READY", "STARTING", "SCHEMA_NOT_READY",
                            "DATABASE_UNAVAILABLE", "SHUTTING_DOWN"}) {
    Gauge(metrics_, "userprofile_state",
          "1 for the state that the process is in: READY, or why it is not.",
          {{"state", state}})
        .Set(now == state ? 1 : 0);
  }
}

}  // namespace userprofile::ops
