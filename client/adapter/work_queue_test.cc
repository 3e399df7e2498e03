#include "client/adapter/work_queue.h"

#include <future>
#include <string>

#include <gtest/gtest.h>

namespace userprofile::adapter {
namespace {

TEST(WorkQueueTest, WhatWaitsForItsTimeKeepsNoThread) {
  std::string order;
  std::promise<void> last;
  WorkQueue queue(1);
  queue.Add(
      [&] {
        order += "late";
        last.set_value();
      },
      absl::Milliseconds(20));
  queue.Add([&] { order += "now "; });
  last.get_future().wait();
  EXPECT_EQ(order, "now late");
}

TEST(WorkQueueTest, ALongTaskLeavesTheOthersToOtherThreads) {
  std::promise<void> others;
  WorkQueue queue(2);
  queue.Add([&] { others.set_value(); }, absl::Milliseconds(20));
  std::promise<void> ended;
  queue.Add([&] {
    others.get_future().wait();
    ended.set_value();
  });
  ended.get_future().wait();
}

TEST(WorkQueueTest, InAHurryNothingIsDelayed) {
  std::promise<void> done;
  WorkQueue queue(1);
  queue.Add([&] { done.set_value(); }, absl::Hours(1));
  queue.Hurry();
  done.get_future().wait();
  queue.Add([] {}, absl::Hours(1));
}

}  // namespace
}  // namespace userprofile::adapter
