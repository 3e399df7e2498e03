#include "server/ops/readiness.h"

#include <string>
#include <utility>

#include "base/error_info.h"

namespace userprofile::ops {
namespace {

constexpr char kDatabaseUnavailable[] = "DATABASE_UNAVAILABLE";

absl::Status Starting() {
  return base::MakeError(absl::StatusCode::kUnavailable,
                         "the service starts and has not seen its database "
                         "yet; try again",
                         "STARTING");
}

absl::Status ShuttingDown() {
  return base::MakeError(absl::StatusCode::kUnavailable,
                         "this server shuts down; try again, another one will "
                         "answer",
                         "SHUTTING_DOWN");
}

}  // namespace

Readiness::Readiness() : state_(Starting()) {}

void Readiness::Set(absl::Status state) {
  base::MutexLock lock(mutex_);
  if (shutting_down_) return;
  // An absent database says nothing about the schema.
  if (base::ErrorReason(state) != kDatabaseUnavailable) admits_ = state.ok();
  Change(std::move(state));
}

void Readiness::ShutDown() {
  base::MutexLock lock(mutex_);
  if (shutting_down_) return;
  shutting_down_ = true;
  Change(ShuttingDown());
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

void Readiness::Change(absl::Status state) {
  if (state == state_) return;
  state_ = std::move(state);
  for (const auto& listener : listeners_) listener(state_);
}

}  // namespace userprofile::ops
