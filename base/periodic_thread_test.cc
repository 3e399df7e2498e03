#include "base/periodic_thread.h"

#include <atomic>

#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "gtest/gtest.h"

namespace userprofile::base {
namespace {

// Waits until `condition` holds; false if it never does.
template <typename Condition>
bool HoldsAtLast(Condition condition) {
  const SteadyTime give_up = SteadyTime::Now() + absl::Seconds(30);
  while (!condition()) {
    if (SteadyTime::Now() > give_up) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

TEST(PeriodicThreadTest, WorksAgainAndAgain) {
  std::atomic<int> calls = 0;
  PeriodicThread thread([&] {
    ++calls;
    return absl::Milliseconds(1);
  });
  EXPECT_TRUE(HoldsAtLast([&] { return calls >= 3; }));
}

TEST(PeriodicThreadTest, PausesUntilItIsWoken) {
  std::atomic<int> calls = 0;
  PeriodicThread thread([&] {
    ++calls;
    return absl::Hours(1);
  });
  EXPECT_TRUE(HoldsAtLast([&] { return calls == 1; }));
  thread.Wake();
  EXPECT_TRUE(HoldsAtLast([&] { return calls == 2; }));
  thread.Stop();
  thread.Stop();
  thread.Wake();
  EXPECT_EQ(calls, 2);
}

TEST(PeriodicThreadTest, EndsAfterAnInfinitePause) {
  int calls = 0;
  PeriodicThread thread([&] {
    return ++calls < 3 ? absl::ZeroDuration() : absl::InfiniteDuration();
  });
  thread.AwaitEnd(absl::Seconds(30));
  EXPECT_FALSE(thread.stopping());
  EXPECT_EQ(calls, 3);
}

TEST(PeriodicThreadTest, WorkHearsThatItShallStop) {
  std::atomic<bool> began = false;
  std::atomic<bool> heard = false;
  PeriodicThread* self = nullptr;
  std::atomic<bool> known = false;
  PeriodicThread thread([&] {
    HoldsAtLast([&] { return known.load(); });
    began = true;
    heard = HoldsAtLast([&] { return self->stopping(); });
    return absl::ZeroDuration();
  });
  self = &thread;
  known = true;
  EXPECT_TRUE(HoldsAtLast([&] { return began.load(); }));
  thread.AwaitEnd(absl::Milliseconds(1));  // in vain
  EXPECT_FALSE(heard);
  thread.Stop();
  EXPECT_TRUE(heard);
}

}  // namespace
}  // namespace userprofile::base
