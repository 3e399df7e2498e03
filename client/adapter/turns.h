#ifndef USERPROFILE_CLIENT_ADAPTER_TURNS_H_
#define USERPROFILE_CLIENT_ADAPTER_TURNS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/types/optional.h"
#include "base/mutex.h"

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

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_TURNS_H_
