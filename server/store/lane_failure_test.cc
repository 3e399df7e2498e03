// What lanes do when statements or connections fail.

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/metrics.h"
#include "server/postgres/errors.h"
#include "server/store/testing/lane_fixture.h"

namespace userprofile::store {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(LaneTest, LetsOnlyTheCulpritOfABatchFail) {
  database_.on_execute = [](const Keys& keys) {
    return std::count(keys.begin(), keys.end(), 5) > 0
               ? absl::InvalidArgumentError("5 is refused")
               : absl::OkStatus();
  };
  EXPECT_THAT(RunTogether({1, 2, 3, 4, 5, 6, 7, 8}),
              ElementsAre("", "", "", "", "", "ROW_REJECTED", "", "", ""));
}

TEST_F(LaneTest, TriesAloneWhatHadToGiveWayInABatch) {
  std::atomic<int> refusals = 3;
  database_.on_execute = [&](const Keys& keys) {
    const bool locked = std::count(keys.begin(), keys.end(), 2) > 0;
    return locked && refusals-- > 0 ? absl::AbortedError("2 is locked")
                                    : absl::OkStatus();
  };
  EXPECT_THAT(RunTogether({1, 2, 3, 4}), Each(""));
  // The others were not held up until the lock was gone.
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2, 3, 4}, Keys{1, 2}, Keys{1},
                          Keys{2}, Keys{3, 4}, Keys{2}));
}

TEST_F(LaneTest, KeepsWhatHadToGiveWayAloneOutOfTheNextBatches) {
  std::atomic<int> refusals = 5;
  database_.on_execute = [&](const Keys& keys) {
    const bool locked = std::count(keys.begin(), keys.end(), 1) > 0;
    if (!locked || refusals-- <= 0) return absl::OkStatus();
    // Others come while it waits for the lock.
    if (keys == Keys{1}) {
      for (const int key : {5, 6}) Submit(key);
    }
    return absl::AbortedError("1 is locked");
  };
  EXPECT_THAT(RunTogether({1, 2, 3, 4}), Each(""));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2, 3, 4}, Keys{1, 2}, Keys{1},
                          Keys{2}, Keys{3, 4}, Keys{5, 6}, Keys{1}, Keys{5, 6},
                          Keys{1}, Keys{5, 6}, Keys{1}));
}

TEST_F(LaneTest, TriesInHalvesWhatLostItsConnectionTwice) {
  std::atomic<int> losses = 5;
  database_.on_execute = [&](const Keys& keys) {
    const bool crashes = std::count(keys.begin(), keys.end(), 3) > 0;
    return crashes && losses-- > 0 ? absl::UnavailableError("3 crashes it")
                                   : absl::OkStatus();
  };
  EXPECT_THAT(RunTogether({1, 2, 3, 4}), Each(""));
  EXPECT_THAT(
      database_.statements(),
      ElementsAre(Keys{0}, Keys{1, 2, 3, 4}, Keys{1, 2, 3, 4}, Keys{1, 2},
                  Keys{3, 4}, Keys{3}, Keys{4}, Keys{3}, Keys{3}));
}

TEST_F(LaneTest, DropsWhatIsPastItsDeadlineWhenABatchIsRunInHalves) {
  std::atomic<int> seconds = 0;
  options_.clock = [&] { return Seconds(seconds); };
  database_.on_execute = [&](const Keys& keys) {
    seconds += 5;
    return keys.size() > 1 ? absl::AbortedError("timed out") : absl::OkStatus();
  };
  database_.Close();
  Start();
  CallContext context;
  context.deadline = Seconds(18);
  Submit(0, context);
  database_.AwaitStatements(1);
  for (int key = 1; key <= 4; ++key) Submit(key, context);
  database_.Open();
  EXPECT_THAT(answers_.Await(),
              ElementsAre("", "", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED",
                          "DEADLINE_EXCEEDED"));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2, 3, 4}, Keys{1, 2}, Keys{1}));
}

TEST_F(LaneTest, TriesOperationsAgainAfterALostConnection) {
  std::atomic<int> losses = 2;
  database_.on_execute = [&](const Keys&) {
    return losses-- > 0 ? absl::UnavailableError("lost") : absl::OkStatus();
  };
  ops::Metrics metrics;
  options_.metrics = LaneMetrics(&metrics, "test");
  Start();
  Submit(1);
  EXPECT_THAT(answers_.Await(), ElementsAre(""));
  EXPECT_THAT(database_.statements(), ElementsAre(Keys{1}, Keys{1}, Keys{1}));
  EXPECT_THAT(metrics.Text(),
              ::testing::HasSubstr("retries_total{lane=\"test\"} 2"));
}

TEST_F(LaneTest, HoldsOperationsWhileThereIsNoConnection) {
  std::atomic<int> failures = 5;
  database_.on_connect = [&] {
    return failures-- > 0 ? absl::UnavailableError("refused")
                          : absl::OkStatus();
  };
  Start();
  Submit(1);
  Submit(2);
  EXPECT_THAT(answers_.Await(), ElementsAre("", ""));
}

TEST_F(LaneTest, SaysThatTheDatabaseIsAwayWhenTimeRunsOut) {
  database_.on_connect = [] { return absl::UnavailableError("refused"); };
  Start();
  Submit(1, {.deadline = base::SteadyTime::Now() + absl::Milliseconds(30)});
  EXPECT_THAT(answers_.Await(), ElementsAre("DATABASE_UNAVAILABLE"));
  EXPECT_THAT(database_.statements(), IsEmpty());
}

TEST_F(LaneTest, AsksWhatToAnswerWhenTheSchemaIsNotAsNeeded) {
  database_.on_execute = [](const Keys&) {
    return absl::FailedPreconditionError("no column first_name");
  };
  options_.explain_schema_error = [] {
    return base::MakeError(absl::StatusCode::kUnavailable, "first_name",
                           "SCHEMA_NOT_READY");
  };
  EXPECT_THAT(RunTogether({1, 2}), Each("SCHEMA_NOT_READY"));
}

TEST_F(LaneTest, DoesNotSendTheDatabasesWordsToCallers) {
  database_.on_execute = [](const Keys&) {
    return absl::InternalError("XX000 secret");
  };
  Start();
  Submit(1);
  EXPECT_THAT(answers_.Await(), ElementsAre("INTERNAL"));
}

TEST_F(LaneTest, RunsWhatIsNotDoneYetOnceMoreAndAnswersTheRest) {
  database_.ExecuteTwice({2, 3});
  StartBusy();
  for (int key = 1; key <= 4; ++key) Submit(key);
  database_.on_execute = [this](const Keys& keys) {
    if (keys == Keys{2, 3}) {
      EXPECT_EQ(answers_.Answered(), 3u);
    }
    return absl::OkStatus();
  };
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each(""));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2, 3, 4}, Keys{2, 3}));
}

// The halves that come after it were never sent.
TEST_F(LaneTest, KeepsALostConnectionFromTheOtherHalvesOfItsBatch) {
  std::atomic<int> losses = 1;
  database_.on_execute = [&](const Keys& keys) {
    if (keys.size() == 4) return absl::InvalidArgumentError("one is refused");
    if (keys == Keys{1, 2} && losses-- > 0) {
      return absl::UnavailableError("lost");
    }
    return absl::OkStatus();
  };
  EXPECT_THAT(RunTogether({1, 2, 3, 4}), Each(""));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2, 3, 4}, Keys{1, 2},
                          Keys{1, 2, 3, 4}, Keys{1, 2}, Keys{3, 4}));
}

TEST_F(LaneTest, TriesWhateverPostgresUndidOrNeverGotAgain) {
  std::atomic<int> tries = 0;
  database_.on_execute = [&](const Keys&) {
    switch (++tries) {
      case 1:
        return postgres::ErrorFromSqlState("53100", "disk full");
      case 2:
        return postgres::NotSent("closed");
      default:
        return absl::OkStatus();
    }
  };
  Start();
  Submit(1);
  EXPECT_THAT(answers_.Await(), ElementsAre(""));
}

TEST_F(LaneTest, AnswersAtOnceWhatPostgresCannotDo) {
  database_.on_execute = [](const Keys&) {
    return postgres::ErrorFromSqlState("0A000", "cannot do that to a view");
  };
  EXPECT_THAT(RunTogether({1, 2}), Each("STATEMENT_REFUSED"));
  // Each alone as well, for it may be one that is refused.
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2}, Keys{1}, Keys{2}));
}

TEST_F(LaneTest, DropsWhatIsPastItsDeadlineThoughOneOfItsKeyIsHeldUp) {
  std::atomic<int> seconds = 0;
  options_.clock = [&] { return Seconds(seconds); };
  std::atomic<bool> locked = true;
  database_.on_execute = [&](const Keys&) {
    return locked ? absl::AbortedError("locked") : absl::OkStatus();
  };
  StartBusy();
  CallContext context;
  context.deadline = Seconds(10);
  for (int i = 0; i < 3; ++i) Submit(0, context);
  seconds = 10;
  database_.Open();
  while (answers_.Answered() < 3) std::this_thread::yield();
  locked = false;
  EXPECT_THAT(answers_.Await(),
              ElementsAre("", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED",
                          "DEADLINE_EXCEEDED"));
}

// What a lane says of itself: "" for well, else why not.
class LaneHealthTest : public LaneTest {
 protected:
  LaneHealthTest() {
    options_.health_grace = absl::Seconds(5);
    options_.clock = [this] { return Seconds(seconds_); };
    options_.on_health = [this](const absl::Status& status) {
      base::MutexLock lock(mutex_);
      said_.emplace_back(status.message());
      changed_.SignalAll();
    };
  }
  ~LaneHealthTest() override { lane_.reset(); }

  std::vector<std::string> AwaitSaid(std::size_t count) {
    base::MutexLock lock(mutex_);
    const auto limit = base::SteadyTime::Now() + kPatience;
    while (said_.size() < count && base::SteadyTime::Now() < limit) {
      changed_.WaitUntil(mutex_, limit);
    }
    return said_;
  }

  std::atomic<int> seconds_ = 100;

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<std::string> said_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(LaneHealthTest, FindsOutWithoutCallsThatThereIsAConnectionAgain) {
  std::atomic<bool> away = true;
  std::atomic<int> tries = 0;
  database_.on_connect = [&] {
    ++tries;
    return away ? absl::UnavailableError("no slots") : absl::OkStatus();
  };
  Start();
  Submit(1, {.deadline = Seconds(101)});
  while (tries < 2) std::this_thread::yield();  // the first has failed
  seconds_ = 104;
  EXPECT_THAT(answers_.Await(), ElementsAre("DATABASE_UNAVAILABLE"));
  EXPECT_THAT(AwaitSaid(0), IsEmpty());  // not within the grace
  seconds_ = 106;
  EXPECT_THAT(AwaitSaid(1), ElementsAre("no slots"));
  away = false;
  EXPECT_THAT(AwaitSaid(2), ElementsAre("no slots", ""));
}

TEST_F(LaneHealthTest, IsRightAgainOnceAStatementGetsThroughWhateverOfIt) {
  absl::Status outcome = postgres::ErrorFromSqlState("0A000", "a view");
  database_.on_execute = [&](const Keys&) { return outcome; };
  Start();
  Submit(1);
  answers_.Await();
  seconds_ = 106;
  Submit(2);
  answers_.Await();
  EXPECT_THAT(AwaitSaid(1), ElementsAre("SQLSTATE 0A000: a view"));
  outcome = absl::InvalidArgumentError("refused");
  Submit(3);
  answers_.Await();
  EXPECT_THAT(AwaitSaid(2), ElementsAre("SQLSTATE 0A000: a view", ""));
}

TEST_F(LaneHealthTest, LetsCallsThroughAgainAfterAWhileToFindOut) {
  database_.on_execute = [](const Keys&) {
    return postgres::ErrorFromSqlState("53100", "disk full");
  };
  Start();
  Submit(1, {.deadline = Seconds(106)});
  database_.AwaitStatements(2);
  seconds_ = 105;
  EXPECT_THAT(AwaitSaid(1), SizeIs(1));
  seconds_ = 106;
  answers_.Await();
  seconds_ = 120;
  EXPECT_THAT(AwaitSaid(2), ElementsAre("SQLSTATE 53100: disk full", ""));
}

TEST_F(LaneTest, AnswersEachOfManyExactlyOnceWhateverFails) {
  options_.workers = 4;
  options_.max_batch = 16;
  std::atomic<unsigned> turn = 0;
  database_.on_execute = [&](const Keys& keys) -> absl::Status {
    switch (++turn % 7) {
      case 1:
        return absl::UnavailableError("lost");
      case 3:
        return absl::AbortedError("deadlock");
      case 5:
        return keys.size() > 1 ? absl::InvalidArgumentError("no")
                               : absl::OkStatus();
      default:
        return absl::OkStatus();
    }
  };
  Start();
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([this, caller] {
      for (int i = 0; i < 500; ++i) Submit(caller * 100 + i % 100);
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(answers_.Await(), Each(""));
}

}  // namespace
}  // namespace userprofile::store
