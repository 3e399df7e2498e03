#ifndef USERPROFILE_CLIENT_ADAPTER_WINDOW_H_
#define USERPROFILE_CLIENT_ADAPTER_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "client/adapter/update.h"

namespace userprofile::adapter {

// Keeps each user's updates in order while many are worked on: who takes a turn
// of a user first has it first. What is of no user needs no order, and has its
// turn at once. Thread-safe.
class Turns {
 public:
  // Gets in line. `begin` is called once all who came before have given up
  // their turns: before this returns, or by the GiveUp() of the last of them.
  void Take(absl::optional<std::int64_t> user, std::function<void()> begin);

  // To be called once for each turn that has begun.
  void GiveUp(absl::optional<std::int64_t> user);

 private:
  base::Mutex mutex_;
  // The users whose turn somebody has, and who waits for it.
  std::unordered_map<std::int64_t, std::deque<std::function<void()>>> waiting_
      ABSL_GUARDED_BY(mutex_);
};

// The updates that were read but whose outcome is not yet taken: a queue, with
// the work on them going on inside it. Different users' updates, and those of
// nobody, are handled at once, each user's one after the other, and the
// outcomes come out in the order in which the updates went in. Thread-safe.
class UpdateWindow {
 public:
  using Done = std::function<void(Outcome)>;

  // Handles an update, and says by Done what became of it, exactly once, on any
  // thread, perhaps before it returns.
  using Handler = std::function<void(Update, Done)>;

  // Holds `capacity` updates, at least 1.
  UpdateWindow(std::size_t capacity, Handler handler);

  // Every outcome must have been taken.
  ~UpdateWindow() = default;

  UpdateWindow(const UpdateWindow&) = delete;
  UpdateWindow& operator=(const UpdateWindow&) = delete;

  // Adds an update; waits while the window is full.
  void Add(Update update);

  // No more updates will be added.
  void Close();

  // Takes the outcomes of the oldest updates: all that are there, and waits for
  // the first, until then at most. None once the window is closed and empty.
  std::vector<Outcome> Take(
      base::SteadyTime until = base::SteadyTime::InfiniteFuture());

  // How many updates it holds.
  std::size_t size();

 private:
  struct Entry {
    Update update;    // until it is handled
    Outcome outcome;  // from then on
    bool finished = false;
  };

  const std::size_t capacity_;
  const Handler handler_;
  Turns turns_;

  base::Mutex mutex_;
  base::CondVar changed_;
  // An entry keeps its address until it is taken, which it is not before it is
  // finished.
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_WINDOW_H_
