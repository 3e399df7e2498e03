#ifndef USERPROFILE_SERVER_API_PROGRESS_H_
#define USERPROFILE_SERVER_API_PROGRESS_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"

namespace userprofile::api {

// How far a call is that holds many: so that it can be answered at its deadline
// with what is done, and what failed is in the log. Other calls leave it empty.
// Thread-safe.
class Progress {
 public:
  // There are so many; to be called at most once, when their results have
  // places.
  void Begin(std::size_t size) {
    auto done = std::make_unique<std::vector<std::atomic<bool>>>(size);
    begun_ = done.get();
    done_ = std::move(done);
  }

  // That one has its result, which does not change any more.
  void Finish(std::size_t place, const absl::Status& status) {
    (*done_)[place] = true;
    if (!status.ok()) Fail(status);
  }

  // Some of it failed like that.
  void Fail(const absl::Status& status) {
    base::MutexLock lock(mutex_);
    if (failures_.size() < kMostFailures) failures_.push_back(status);
  }

  // Which have theirs; null before Begin.
  const std::vector<std::atomic<bool>>* done() const { return begun_; }

  // What became of those that failed; not of all, if they are many.
  std::vector<absl::Status> failures() const {
    base::MutexLock lock(mutex_);
    return failures_;
  }

 private:
  static constexpr std::size_t kMostFailures = 16;

  std::unique_ptr<std::vector<std::atomic<bool>>> done_;
  std::atomic<const std::vector<std::atomic<bool>>*> begun_{nullptr};

  mutable base::Mutex mutex_;
  std::vector<absl::Status> failures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::api

#endif  // USERPROFILE_SERVER_API_PROGRESS_H_
