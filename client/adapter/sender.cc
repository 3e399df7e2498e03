#include "client/adapter/sender.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "client/adapter/json_api.h"
#include "client/adapter/window.h"
#include "client/adapter/work_queue.h"
#include "spdlog/spdlog.h"
#include "userprofile/client/errors.h"
#include "userprofile/client/recognition.h"

namespace userprofile::adapter {
namespace {

using base::MutexLock;
using base::SteadyTime;

// How soon it is seen that the process shall stop.
constexpr absl::Duration kLookAtStop = absl::Milliseconds(200);

// Calls that may come back after nobody waits for them any more, and so share
// what they need.
class Telling : public std::enable_shared_from_this<Telling> {
 public:
  Telling(std::vector<Update> updates, client::ProfileClient& service,
          AdapterMetrics& metrics)
      : updates_(std::move(updates)),
        service_(service),
        metrics_(metrics),
        senders_(updates_.size()) {
    for (std::size_t i = 0; i < updates_.size(); ++i) {
      if (!updates_[i].contact) {
        senders_[i] = Sender{updates_[i].outcome.recognized};
      }
    }
  }

  // Asks for those that have no answer; to be called while none is under way.
  void Begin() {
    std::vector<std::size_t> missing;
    {
      const MutexLock lock(mutex_);
      for (std::size_t i = 0; i < senders_.size(); ++i) {
        if (!senders_[i]) missing.push_back(i);
      }
      failed_.clear();
      under_way_ = missing.size();
    }
    for (const std::size_t i : missing) {
      turns_.Take(updates_[i].outcome.user_id,
                  [self = shared_from_this(), i] { self->Ask(i); });
    }
  }

  // Waits until none is under way; false if that takes too long.
  bool Await(SteadyTime until, const StopEvent& stop) {
    const MutexLock lock(mutex_);
    while (under_way_ > 0) {
      const SteadyTime now = SteadyTime::Now();
      if (now >= until || stop.IsSet()) return false;
      changed_.WaitUntil(mutex_, std::min(until, now + kLookAtStop));
    }
    return true;
  }

  bool IsDone() {
    const MutexLock lock(mutex_);
    return std::all_of(senders_.begin(), senders_.end(),
                       [](const auto& sender) { return sender.has_value(); });
  }

  // The first ones. Those that are still to be asked for are not any more.
  std::vector<Sender> End() {
    const MutexLock lock(mutex_);
    ended_ = true;
    std::vector<Sender> first;
    for (const auto& sender : senders_) {
      if (!sender) break;
      first.push_back(*sender);
    }
    return first;
  }

 private:
  void Ask(std::size_t i) {
    bool is_wanted = false;
    {
      const MutexLock lock(mutex_);
      is_wanted =
          !ended_ && !failed_.contains(updates_[i].outcome.user_id.value_or(0));
    }
    if (!is_wanted) return Take(i, absl::CancelledError("not in this round"));
    service_.UpsertUser(
        *updates_[i].contact,
        [self = shared_from_this(),
         i](absl::StatusOr<v1::UpsertUserResponse> response) {
          self->Take(i, SenderOf(self->updates_[i], response, self->metrics_));
        });
  }

  void Take(std::size_t i, absl::StatusOr<Sender> sender) {
    {
      const MutexLock lock(mutex_);
      if (sender.ok()) {
        senders_[i] = *std::move(sender);
      } else {
        failed_.insert(updates_[i].outcome.user_id.value_or(0));
      }
      if (--under_way_ == 0) changed_.SignalAll();
    }
    turns_.GiveUp(updates_[i].outcome.user_id);
  }

  const std::vector<Update> updates_;
  client::ProfileClient& service_;
  AdapterMetrics& metrics_;
  Turns turns_;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<absl::optional<Sender>> senders_ ABSL_GUARDED_BY(mutex_);
  std::size_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  // Users of whom one can't be stored now: the later ones wait for it, else one
  // of these would be their first.
  std::set<std::int64_t> failed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<Sender> SenderOf(
    const Update& update,
    const absl::StatusOr<v1::UpsertUserResponse>& response,
    AdapterMetrics& metrics) {
  const bool refused = client::IsRefused(response.status());
  metrics.SetPeer(kService, refused ? absl::OkStatus() : response.status());
  if (refused) {
    spdlog::error("the service refuses the contact of update {}: {}",
                  update.outcome.update_id.value_or(0),
                  std::string(response.status().message()));
    return Sender{Recognized::kError};
  }
  if (!response.ok()) return response.status();
  return Sender{static_cast<Recognized>(client::RecognitionOf(*response)),
                ToJson(response->profile()).value_or("")};
}

std::vector<Sender> TellService(std::vector<Update> updates,
                                client::ProfileClient& service,
                                AdapterMetrics& metrics, SteadyTime until,
                                const StopEvent& stop) {
  const auto telling =
      std::make_shared<Telling>(std::move(updates), service, metrics);
  Backoff backoff;
  while (true) {
    telling->Begin();
    const bool answered = telling->Await(until, stop);
    const absl::Duration pause =
        std::min(backoff.Next(), until - SteadyTime::Now());
    if (!answered || telling->IsDone() || pause <= absl::ZeroDuration() ||
        stop.WaitFor(pause)) {
      return telling->End();
    }
  }
}

}  // namespace userprofile::adapter
