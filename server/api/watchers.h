#ifndef USERPROFILE_SERVER_API_WATCHERS_H_
#define USERPROFILE_SERVER_API_WATCHERS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/periodic_thread.h"
#include "base/steady_time.h"
#include "ops/metrics.h"
#include "ops/readiness.h"
#include "server/api/open_streams.h"
#include "server/store/profile_store.h"

namespace userprofile::api {

struct WatchOptions {
  // How many there may be, of all callers and of one. Callers that are not
  // identified are one.
  int max_watchers = 64;
  int max_watchers_per_caller = 16;

  // How often to look whether anything changed, while anybody watches.
  absl::Duration poll_interval = absl::Milliseconds(200);

  // A watcher is told something at least so often, while it can be said that
  // nothing changed.
  absl::Duration heartbeat = absl::Seconds(10);

  // For how long a watcher may take nothing of what it is told; and so, too,
  // once the server leaves.
  absl::Duration patience = absl::Minutes(1);
  absl::Duration patience_at_end = absl::Seconds(1);

  // For tests: called as a watch is about to be broken off.
  std::function<void()> before_break = [] {};
};

// Those who watch. Looks for all of them whether anything changed, so that only
// then each has to read for itself; and lets each look at the time now and
// then. Thread-safe.
class Watchers final : public OpenStreams {
 public:
  // `store` must outlive the calls to it. Asks it only while `readiness` admits
  // requests. `metrics` may be null.
  static std::shared_ptr<Watchers> Make(store::ProfileStore& store,
                                        const ops::Readiness& readiness,
                                        const WatchOptions& options,
                                        ops::Metrics* metrics);

  // Close() ends all, now and later; those that take nothing within a short
  // while. This ends the looking, once all of them are gone.
  void Stop() { thread_->Stop(); }

  // A place among them; given back when it is destroyed. RESOURCE_EXHAUSTED
  // with reason OVERLOADED if there are too many.
  class Place;
  absl::StatusOr<std::unique_ptr<Place>> Enter(const std::string& caller);

  // Another number than before once there may be something that was not there
  // to be read then.
  std::int64_t news() const { return news_; }

  // Whether anything may be asked of the database; not while the schema is not
  // as needed, say.
  bool admits() const { return admits_; }

  // Whether it is known that nothing else changed: the database was asked, and
  // has answered.
  bool looks() const;

  const WatchOptions& options() const { return options_; }

 private:
  Watchers(store::ProfileStore& store, const ops::Readiness& readiness,
           const WatchOptions& options, ops::Metrics* metrics);

  // Returns the pause to the next one.
  absl::Duration Poll();
  void OnPolled(const absl::Status& status);

  store::ProfileStore& store_;
  const ops::Readiness& readiness_;
  const WatchOptions options_;
  const ops::Gauge count_;
  const ops::Gauge held_up_;
  std::atomic<std::int64_t> news_ = 0;
  std::atomic<bool> admits_ = true;
  std::weak_ptr<Watchers> self_;

  // Of the question whether anything changed, of which one is under way at
  // most: the answer, and the one before.
  std::atomic<bool> polling_ = false;
  store::ChangesCall::Page page_;
  absl::optional<store::ChangePlace> newest_;

  mutable base::Mutex mutex_;
  base::SteadyTime answered_ ABSL_GUARDED_BY(mutex_);  // a question, when last
  int total_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int> by_caller_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<base::PeriodicThread> thread_;
};

class Watchers::Place {
 public:
  Place(std::shared_ptr<Watchers> watchers, std::string caller)
      : watchers_(std::move(watchers)), caller_(std::move(caller)) {}
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  const std::shared_ptr<Watchers> watchers_;
  const std::string caller_;
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_WATCHERS_H_
