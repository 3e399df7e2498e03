#include "ops/readiness.h"

#include <iterator>
#include <string>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace userprofile::ops {
namespace {

// Every state but READY. The metric shows all of them, and users of the API
// know them as reasons of errors.
struct State {
  v1::ErrorReason reason;
  bool of_database;  // says nothing about the schema
  const char* sentence;
};

constexpr State kStates[] = {
    {v1::ERROR_REASON_STARTING, false,
     "the service starts and has not seen its database yet; try again"},
    {v1::ERROR_REASON_SCHEMA_NOT_READY, false,
     "the schema is not what the service needs; run 'userprofile-server schema "
     "check'"},
    {v1::ERROR_REASON_DATABASE_UNAVAILABLE, true,
     "the database can't be reached; try again"},
    {v1::ERROR_REASON_DATABASE_READ_ONLY, true,
     "the database takes no writes: promote a standby, or set "
     "default_transaction_read_only to off"},
    {v1::ERROR_REASON_REPLICATION_STALLED, true,
     "commits wait for a synchronous standby that does not answer: bring it "
     "back, or take it out of synchronous_standby_names"},
    {v1::ERROR_REASON_DEPOSED_PRIMARY, true,
     "another primary has replaced this database: stop it, and let it follow "
     "the new one as a standby"},
    {v1::ERROR_REASON_WRONG_DATABASE, true,
     "the database is of another cluster than the one before: mend its "
     "address, or restart the server if that was meant"},
    {v1::ERROR_REASON_POOLER_UNSUPPORTED, true,
     "a pooler before the database gives each transaction another session: "
     "give this service a pool in session mode, or none"},
    {v1::ERROR_REASON_SHUTTING_DOWN, false,
     "this server shuts down; try again, another one will answer"},
};

bool IsOfDatabase(const absl::Status& state) {
  const std::string reason = base::ErrorReason(state);
  return absl::c_any_of(kStates, [&](const State& known) {
    return known.of_database && base::ReasonName(known.reason) == reason;
  });
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

absl::Status StateOf(v1::ErrorReason reason) {
  const auto* state = absl::c_find_if(
      kStates, [&](const State& known) { return known.reason == reason; });
  return base::MakeError(
      absl::StatusCode::kUnavailable,
      state == std::end(kStates) ? "not ready" : state->sentence, reason);
}

absl::Status DatabaseState(const absl::Status& failure) {
  v1::ErrorReason reason = v1::ERROR_REASON_DATABASE_UNAVAILABLE;
  if (IsOfDatabase(failure)) {
    v1::ErrorReason_Parse(
        absl::StrCat("ERROR_REASON_", base::ErrorReason(failure)), &reason);
  }
  return StateOf(reason);
}

Readiness::Readiness(Metrics* metrics)
    : metrics_(metrics),
      schema_(StateOf(v1::ERROR_REASON_STARTING)),
      state_(schema_) {
  base::MutexLock lock(mutex_);
  ShowState();
}

void Readiness::Set(absl::Status state) {
  base::MutexLock lock(mutex_);
  if (shutting_down_) return;
  if (!IsOfDatabase(state)) admits_ = state.ok();
  schema_ = std::move(state);
  Update();
}

void Readiness::SetWrites(absl::Status state) {
  base::MutexLock lock(mutex_);
  writes_ = std::move(state);
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

absl::Status Readiness::StateWithoutLanes() const {
  base::MutexLock lock(mutex_);
  return WithoutLanes();
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

absl::Status Readiness::WithoutLanes() const {
  if (shutting_down_) return StateOf(v1::ERROR_REASON_SHUTTING_DOWN);
  if (!schema_.ok() && !IsOfDatabase(schema_)) return schema_;
  if (!writes_.ok()) return writes_;
  return schema_;
}

void Readiness::Update() {
  absl::Status state = WithoutLanes();
  if (state.ok() && !failing_lanes_.empty()) {
    state = failing_lanes_.begin()->second;
  }
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
  const auto show = [&](absl::string_view state) {
    Gauge(metrics_, "userprofile_state",
          "1 for the state that the process is in: READY, or why it is not.",
          {{"state", std::string(state)}})
        .Set(now == state ? 1 : 0);
  };
  show("READY");
  for (const State& state : kStates) show(base::ReasonName(state.reason));
}

}  // namespace userprofile::ops
