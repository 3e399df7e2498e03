#include "server/api/watchers.h"

#include <utility>

#include "server/store/errors.h"

namespace userprofile::api {

std::shared_ptr<Watchers> Watchers::Make(store::ProfileStore& store,
                                         const ops::Readiness& readiness,
                                         const WatchOptions& options,
                                         ops::Metrics* metrics) {
  auto watchers = std::shared_ptr<Watchers>(
      new Watchers(store, readiness, options, metrics));
  watchers->self_ = watchers;
  watchers->thread_ = std::make_unique<base::PeriodicThread>(
      [watchers = watchers.get()] { return watchers->Poll(); });
  return watchers;
}

Watchers::Watchers(store::ProfileStore& store, const ops::Readiness& readiness,
                   const WatchOptions& options, ops::Metrics* metrics)
    : store_(store),
      readiness_(readiness),
      options_(options),
      count_(metrics, "userprofile_watchers",
             "Calls of WatchProfiles that are under way."),
      held_up_(metrics, "userprofile_watch_held_up_seconds",
               "For how long the oldest change has waited that older "
               "transactions keep from being told; 0 if nobody watches.") {}

absl::StatusOr<std::unique_ptr<Watchers::Place>> Watchers::Enter(
    const std::string& caller) {
  {
    base::MutexLock lock(mutex_);
    int& of_caller = by_caller_[caller];
    if (total_ >= options_.max_watchers ||
        of_caller >= options_.max_watchers_per_caller) {
      if (of_caller == 0) by_caller_.erase(caller);
      return store::Overloaded();
    }
    ++of_caller;
    ++total_;
  }
  count_.Add(1);
  thread_->Wake();
  return std::make_unique<Place>(self_.lock(), caller);
}

Watchers::Place::~Place() {
  watchers_->count_.Add(-1);
  base::MutexLock lock(watchers_->mutex_);
  --watchers_->total_;
  const auto of_caller = watchers_->by_caller_.find(caller_);
  if (--of_caller->second == 0) watchers_->by_caller_.erase(of_caller);
}

bool Watchers::looks() const {
  if (!admits_) return false;
  base::MutexLock lock(mutex_);
  return base::SteadyTime::Now() - answered_ <= options_.heartbeat;
}

absl::Duration Watchers::Poll() {
  constexpr absl::Duration kUntilWoken = absl::Hours(1);
  {
    base::MutexLock lock(mutex_);
    if (total_ == 0) {
      held_up_.Set(0);
      return kUntilWoken;
    }
  }
  admits_ = readiness_.AdmitRequest().ok();
  AdvanceAll();
  if (!closed() && admits_ && !polling_.exchange(true)) {
    store_.ReadChanges(
        {.page = &page_},
        {base::SteadyTime::InfiniteFuture(),
         [watchers = self_.lock()] { return watchers->closed(); }},
        [watchers = self_.lock()](const absl::Status& status) {
          watchers->OnPolled(status);
        });
  }
  return options_.poll_interval;
}

// What was settled while nobody looked is news, too: at first, and after an
// error, of which each finds out by itself whether it concerns it.
void Watchers::OnPolled(const absl::Status& status) {
  if (!status.ok()) page_ = {};
  {
    base::MutexLock lock(mutex_);
    if (status.ok()) answered_ = base::SteadyTime::Now();
    held_up_.Set(total_ == 0 ? 0 : absl::ToDoubleSeconds(page_.held_up));
  }
  const bool is_news = !page_.end.has_value() || page_.end != newest_;
  newest_ = std::move(page_.end);
  polling_ = false;
  if (!is_news) return;
  ++news_;
  AdvanceAll();
}

}  // namespace userprofile::api
