#ifndef USERPROFILE_CLIENT_ADAPTER_TURNS_H_
#define USERPROFILE_CLIENT_ADAPTER_TURNS_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace userprofile::adapter {

// Keeps each user's updates in order while many threads work on updates: who
// takes a turn of a user first has it first. Thread-safe.
class Turns {
 public:
  // A place in the line of a user, given up when destroyed, which waits for
  // those before it.
  class Turn {
   public:
    Turn(Turns& turns, std::int64_t user, std::int64_t number)
        : turns_(&turns), user_(user), number_(number) {}
    Turn(Turn&& other) noexcept
        : turns_(std::exchange(other.turns_, nullptr)),
          user_(other.user_),
          number_(other.number_) {}
    ~Turn();
    Turn& operator=(Turn&&) = delete;

    // Waits until all who came before have given up their turns.
    void Await();

   private:
    Turns* turns_;  // nullptr once moved from
    const std::int64_t user_;
    const std::int64_t number_;
  };

  // Gets in line; does not wait.
  Turn Take(std::int64_t user);

 private:
  struct Line {
    std::int64_t next = 0;  // the number that the next turn gets
    std::int64_t now = 0;   // the number whose turn it is
  };

  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<std::int64_t, Line> lines_;  // protected by mutex_
};

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_TURNS_H_
