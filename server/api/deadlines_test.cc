#include "server/api/deadlines.h"

#include <memory>
#include <vector>

#include "base/mutex.h"
#include "gtest/gtest.h"

namespace userprofile::api {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

class Waiter final : public Deadlines::Waiter {
 public:
  void OnDeadline() override {
    base::MutexLock lock(mutex_);
    called_ = true;
    changed_.SignalAll();
  }

  bool called() {
    base::MutexLock lock(mutex_);
    return called_;
  }

  bool Await() {
    const base::SteadyTime give_up = base::SteadyTime::Now() + kPatience;
    base::MutexLock lock(mutex_);
    while (!called_ && base::SteadyTime::Now() < give_up) {
      changed_.WaitUntil(mutex_, give_up);
    }
    return called_;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool called_ ABSL_GUARDED_BY(mutex_) = false;
};

std::shared_ptr<Waiter> Add(Deadlines& deadlines, absl::Duration from_now) {
  auto waiter = std::make_shared<Waiter>();
  deadlines.Add(waiter, base::SteadyTime::Now() + from_now);
  return waiter;
}

TEST(DeadlinesTest, CallWhoeverWaitsOnceItsTimeHasCome) {
  Deadlines deadlines;
  const base::SteadyTime start = base::SteadyTime::Now();
  const auto late = Add(deadlines, absl::Hours(1));
  std::vector<std::shared_ptr<Waiter>> soon;
  for (int i = 0; i < 10; ++i) {
    soon.push_back(Add(deadlines, absl::Milliseconds(100 - i)));
  }
  for (const auto& waiter : soon) EXPECT_TRUE(waiter->Await());
  EXPECT_GE(base::SteadyTime::Now() - start, absl::Milliseconds(90));
  EXPECT_FALSE(late->called());
}

TEST(DeadlinesTest, ForgetWhoeverIsRemoved) {
  Deadlines deadlines;
  const auto first = Add(deadlines, absl::Milliseconds(20));
  const auto second = Add(deadlines, absl::Milliseconds(40));
  const auto third = Add(deadlines, absl::Milliseconds(60));
  deadlines.Remove(*first);
  deadlines.Remove(*first);
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_TRUE(second->Await());
  EXPECT_TRUE(third->Await());
  EXPECT_FALSE(first->called());
  deadlines.Remove(*third);
}

TEST(DeadlinesTest, LetGoOfThoseWhoWaitAtTheEnd) {
  std::shared_ptr<Waiter> waiter;
  {
    Deadlines deadlines;
    waiter = Add(deadlines, absl::Hours(1));
  }
  EXPECT_EQ(waiter.use_count(), 1);
}

}  // namespace
}  // namespace userprofile::api
