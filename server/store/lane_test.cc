// How lanes make batches, drop what is of no use, and shut down.

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/testing/lane_fixture.h"

namespace userprofile::store {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(LaneTest, SendsALoneOperationAtOnce) {
  Start();
  Submit(7);
  EXPECT_THAT(answers_.Await(), ElementsAre(""));
  EXPECT_THAT(database_.statements(), ElementsAre(Keys{7}));
}

TEST_F(LaneTest, MakesOneBatchOfWhatWaited) {
  EXPECT_THAT(RunTogether({1, 2, 3, 4, 5}), Each(""));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2, 3, 4, 5}));
}

TEST_F(LaneTest, CapsBatches) {
  options_.max_batch = 2;
  RunTogether({1, 2, 3, 4, 5});
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2}, Keys{3, 4}, Keys{5}));
}

// An operation's key is its weight here.
TEST_F(LaneTest, CapsBatchesByWeight) {
  options_.max_batch = 10;
  ops::Metrics metrics;
  options_.metrics = LaneMetrics(&metrics, "test");
  StartBusy();
  for (const int weight : {4, 5, 2, 1, 30, 3, 6, 7}) {
    Submit(weight, {}, static_cast<std::size_t>(weight));
  }
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each(""));
  // In their order; one that is heavier than a batch goes alone.
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{4, 5}, Keys{2, 1}, Keys{30}, Keys{3, 6},
                          Keys{7}));
  EXPECT_THAT(metrics.Text(),
              HasSubstr("userprofile_lane_batch_size_sum{lane=\"test\"} 59\n"));
}

TEST_F(LaneTest, HoldsAsMuchAsItMayByWeight) {
  options_.max_in_flight = 10;
  StartBusy();
  Submit(1, {}, 6);
  Submit(2, {}, 4);  // one too many
  Submit(3, {}, 3);
  database_.Open();
  EXPECT_THAT(answers_.Await(), ElementsAre("", "", "OVERLOADED", ""));
  Submit(4, {}, 30);  // more than it ever holds, but nothing else is there
  EXPECT_EQ(answers_.Await().back(), "");
  Submit(5, {}, 10);
  EXPECT_EQ(answers_.Await().back(), "");
}

TEST_F(LaneTest, PutsOperationsThatExcludeEachOtherInDifferentBatchesInOrder) {
  EXPECT_THAT(RunTogether({1, 1, 2, 1, 2}), Each(""));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2}, Keys{1, 2}, Keys{1}));
}

TEST_F(LaneTest, SaysWhereTheTimeOfEachOperationWent) {
  std::atomic<int> seconds = 100;
  options_.clock = [&] { return Seconds(seconds); };
  int tries = 0;
  database_.on_execute = [&](const Keys& keys) {
    if (keys != Keys{1}) return absl::OkStatus();
    seconds += 2;
    return ++tries == 1 ? absl::UnavailableError("cut") : absl::OkStatus();
  };
  CallTimes first;
  CallTimes second;
  database_.Close();
  Start();
  Submit(0, {.times = &first});
  database_.AwaitStatements(1);
  Submit(1, {.times = &second});
  seconds += 5;
  database_.Open();
  answers_.Await();
  EXPECT_EQ(first.queue, absl::ZeroDuration());
  EXPECT_EQ(first.database, absl::Seconds(5));
  EXPECT_EQ(second.queue, absl::Seconds(5));
  EXPECT_EQ(second.database, absl::Seconds(4));  // both tries
}

TEST_F(LaneTest, SaysHowLongADroppedOperationWaited) {
  std::atomic<int> seconds = 100;
  options_.clock = [&] { return Seconds(seconds); };
  StartBusy();
  CallTimes times;
  Submit(1, {.deadline = Seconds(102), .times = &times});
  seconds += 3;
  database_.Open();
  EXPECT_THAT(answers_.Await(), ElementsAre("", "DEADLINE_EXCEEDED"));
  EXPECT_EQ(times.queue, absl::Seconds(3));
  EXPECT_EQ(times.database, absl::ZeroDuration());
}

TEST_F(LaneTest, DropsWhatIsPastItsDeadlineBeforeItCostsAStatement) {
  std::atomic<int> seconds = 0;
  options_.clock = [&] { return Seconds(seconds); };
  StartBusy();
  Submit(1, {.deadline = Seconds(10)});
  Submit(2);
  seconds = 10;
  database_.Open();
  EXPECT_THAT(answers_.Await(), ElementsAre("", "DEADLINE_EXCEEDED", ""));
  EXPECT_THAT(database_.statements(), ElementsAre(Keys{0}, Keys{2}));
}

TEST_F(LaneTest, DropsWhatWasCancelledWhileTheConnectionWasMade) {
  std::atomic<bool> cancelled = false;
  database_.on_connect = [&] {
    cancelled = true;
    return absl::OkStatus();
  };
  Start();
  Submit(1, {.cancelled = [&] { return cancelled.load(); }});
  EXPECT_THAT(answers_.Await(), ElementsAre("CANCELLED"));
  EXPECT_THAT(database_.statements(), IsEmpty());
}

TEST_F(LaneTest, DropsWhatWasCancelledBeforeItCostsAStatement) {
  StartBusy();
  std::atomic<bool> cancelled = false;
  Submit(1, {.cancelled = [&] { return cancelled.load(); }});
  cancelled = true;
  database_.Open();
  EXPECT_THAT(answers_.Await(), ElementsAre("", "CANCELLED"));
  EXPECT_THAT(database_.statements(), ElementsAre(Keys{0}));
}

TEST_F(LaneTest, RefusesWhatIsOverTheLimit) {
  options_.max_in_flight = 3;
  EXPECT_THAT(RunTogether({1, 2, 3, 4}),
              ElementsAre("", "", "", "OVERLOADED", "OVERLOADED"));
  Submit(5);  // and takes more once it has room
  EXPECT_EQ(answers_.Await().back(), "");
}

TEST_F(LaneTest, CarriesOutWhatWaitsWhenItShutsDown) {
  StartBusy();
  for (int key = 1; key <= 3; ++key) Submit(key);
  std::thread opener([this] { database_.Open(); });
  lane_->Shutdown(base::SteadyTime::Now() + kPatience);
  opener.join();
  Submit(4);
  EXPECT_THAT(answers_.Await(), ElementsAre("", "", "", "", "SHUTTING_DOWN"));
}

TEST_F(LaneTest, AnswersWhatStillWaitsWhenTheTimeForShutdownIsOver) {
  StartBusy();
  Submit(1);
  std::thread stopper(
      [this] { lane_->Shutdown(base::SteadyTime::InfinitePast()); });
  while (answers_.Answered() < 1) std::this_thread::yield();
  database_.Open();
  stopper.join();
  EXPECT_THAT(answers_.Await(), ElementsAre("", "SHUTTING_DOWN"));
}

TEST_F(LaneTest, ShutsDownWhileTheDatabaseIsAway) {
  database_.on_connect = [] { return absl::UnavailableError("refused"); };
  Start();
  for (int key = 0; key < 3; ++key) Submit(key);
  lane_->Shutdown(base::SteadyTime::Now() + absl::Milliseconds(20));
  EXPECT_THAT(answers_.Await(), Each("SHUTTING_DOWN"));
}

TEST_F(LaneTest, DoesNotSitOutAPauseWhenTheTimeForShutdownIsOver) {
  options_.min_backoff = options_.max_backoff = absl::Hours(1);
  std::atomic<bool> failed = false;
  database_.on_connect = [&] {
    failed = true;
    return absl::UnavailableError("refused");
  };
  Start();
  Submit(1);
  while (!failed) std::this_thread::yield();
  absl::SleepFor(absl::Milliseconds(20));  // the pause has begun
  lane_->Shutdown(base::SteadyTime::InfinitePast());
  EXPECT_THAT(answers_.Await(), Each("SHUTTING_DOWN"));
}

// Each batch looks at its own operations, and not at all that wait.
TEST_F(LaneTest, LooksAtEachOperationOnceThoughOneUserFillsTheQueue) {
  constexpr int kOperations = 2000;
  StartBusy();
  std::atomic<int> looks = 0;
  CallContext context;
  context.cancelled = [&] {
    ++looks;
    return false;
  };
  for (int i = 0; i < kOperations; ++i) Submit(1, context);
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each(""));
  // As it leaves the others of its key, the queue, and for its statement.
  EXPECT_LE(looks, 3 * kOperations);
}

}  // namespace
}  // namespace userprofile::store
