#include "server/store/lane.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/postgres/errors.h"

namespace userprofile::store {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kPatience = absl::Seconds(20);

// By a clock of the test's.
base::SteadyTime Seconds(int seconds) {
  return base::SteadyTime() + absl::Seconds(seconds);
}

struct KeyedOperation final : Operation {
  KeyedOperation(int k, CallContext context, Done done)
      : Operation(std::move(context), std::move(done), k) {}
};

using Keys = std::vector<int>;

// Stands for the database: what it was asked to run, and what it answers.
class Database {
 public:
  // Decides what a statement over these keys returns; OK if empty.
  std::function<absl::Status(const Keys&)> on_execute;
  std::function<absl::Status()> on_connect;

  // Whose operations have to be executed twice.
  void ExecuteTwice(std::set<int> keys) {
    base::MutexLock lock(mutex_);
    twice_ = std::move(keys);
  }
  bool TakeTwice(int key) {
    base::MutexLock lock(mutex_);
    return twice_.erase(key) > 0;
  }

  // While closed, statements that begin stay under way.
  void Close() {
    base::MutexLock lock(mutex_);
    closed_ = true;
  }
  void Open() {
    base::MutexLock lock(mutex_);
    closed_ = false;
    changed_.SignalAll();
  }
  void AwaitStatements(std::size_t count) {
    base::MutexLock lock(mutex_);
    const auto limit = base::SteadyTime::Now() + kPatience;
    while (statements_.size() < count) {
      ASSERT_TRUE(base::SteadyTime::Now() < limit) << "no statement came";
      changed_.WaitUntil(mutex_, limit);
    }
  }
  std::vector<Keys> statements() {
    base::MutexLock lock(mutex_);
    return statements_;
  }

  absl::Status Execute(const Keys& keys) {
    {
      base::MutexLock lock(mutex_);
      statements_.push_back(keys);
      changed_.SignalAll();
      while (closed_) changed_.Wait(mutex_);
    }
    return on_execute ? on_execute(keys) : absl::OkStatus();
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Keys> statements_ ABSL_GUARDED_BY(mutex_);
  std::set<int> twice_ ABSL_GUARDED_BY(mutex_);
};

class FakeExecutor final : public BatchExecutor {
 public:
  explicit FakeExecutor(Database& database) : database_(database) {}

  absl::Status Connect() override {
    lost_ = false;
    return database_.on_connect ? database_.on_connect() : absl::OkStatus();
  }
  absl::Status Execute(absl::Span<Operation* const> batch) override {
    if (lost_) return absl::UnavailableError("the session is closed");
    Keys keys;
    for (Operation* operation : batch) {
      keys.push_back(static_cast<int>(*operation->key));
      operation->again = database_.TakeTwice(keys.back());
    }
    const absl::Status status = database_.Execute(keys);
    lost_ = absl::IsUnavailable(status);
    return status;
  }

 private:
  Database& database_;
  bool lost_ = false;
};

// Collects the answers to operations.
class Answers {
 public:
  Done Next() {
    base::MutexLock lock(mutex_);
    const std::size_t index = statuses_.size();
    statuses_.emplace_back();
    counts_.push_back(0);
    return [this, index](absl::Status status) {
      base::MutexLock inner(mutex_);
      statuses_[index] = std::move(status);
      ++counts_[index];
      ++answered_;
      changed_.SignalAll();
    };
  }

  std::size_t Answered() {
    base::MutexLock lock(mutex_);
    return answered_;
  }

  // Waits until all are answered; their reasons, "" for OK.
  std::vector<std::string> Await() {
    base::MutexLock lock(mutex_);
    const auto limit = base::SteadyTime::Now() + kPatience;
    while (answered_ < statuses_.size()) {
      if (base::SteadyTime::Now() > limit) {
        ADD_FAILURE() << "only " << answered_ << " were answered";
        break;
      }
      changed_.WaitUntil(mutex_, limit);
    }
    EXPECT_THAT(counts_, Each(1)) << "not exactly one answer each";
    std::vector<std::string> reasons;
    for (const absl::Status& status : statuses_) {
      reasons.push_back(status.ok() ? "" : base::ErrorReason(status));
    }
    return reasons;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<absl::Status> statuses_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> counts_ ABSL_GUARDED_BY(mutex_);
  std::size_t answered_ ABSL_GUARDED_BY(mutex_) = 0;
};

class LaneTest : public ::testing::Test {
 protected:
  LaneTest() {
    options_.workers = 1;
    options_.min_backoff = absl::Milliseconds(1);
    options_.max_backoff = absl::Milliseconds(2);
  }

  void Start() {
    lane_ = std::make_unique<Lane>(
        options_, [this] { return std::make_unique<FakeExecutor>(database_); });
  }

  void Submit(int key, CallContext context = {}) {
    lane_->Submit(std::make_unique<KeyedOperation>(key, std::move(context),
                                                   answers_.Next()));
  }

  // Starts with key 0 under way, so that what follows has to wait.
  void StartBusy() {
    database_.Close();
    Start();
    Submit(0);
    database_.AwaitStatements(1);
  }

  Database database_;
  Answers answers_;
  Lane::Options options_;
  std::unique_ptr<Lane> lane_;
};

TEST_F(LaneTest, SendsALoneOperationAtOnce) {
  Start();
  Submit(7);
  EXPECT_THAT(answers_.Await(), ElementsAre(""));
  EXPECT_THAT(database_.statements(), ElementsAre(Keys{7}));
}

TEST_F(LaneTest, MakesOneBatchOfWhatWaited) {
  StartBusy();
  for (int key = 1; key <= 5; ++key) Submit(key);
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each(""));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2, 3, 4, 5}));
}

TEST_F(LaneTest, CapsBatches) {
  options_.max_batch = 2;
  StartBusy();
  for (int key = 1; key <= 5; ++key) Submit(key);
  database_.Open();
  answers_.Await();
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2}, Keys{3, 4}, Keys{5}));
}

TEST_F(LaneTest, PutsOperationsThatExcludeEachOtherInDifferentBatchesInOrder) {
  StartBusy();
  for (const int key : {1, 1, 2, 1, 2}) Submit(key);
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each(""));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2}, Keys{1, 2}, Keys{1}));
}

TEST_F(LaneTest, LetsOnlyTheCulpritOfABatchFail) {
  database_.on_execute = [](const Keys& keys) {
    return std::count(keys.begin(), keys.end(), 5) > 0
               ? absl::InvalidArgumentError("5 is refused")
               : absl::OkStatus();
  };
  StartBusy();
  for (int key = 1; key <= 8; ++key) Submit(key);
  database_.Open();
  EXPECT_THAT(answers_.Await(),
              ElementsAre("", "", "", "", "", "ROW_REJECTED", "", "", ""));
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

TEST_F(LaneTest, TriesAloneWhatHadToGiveWayInABatch) {
  std::atomic<int> refusals = 3;
  database_.on_execute = [&](const Keys& keys) {
    const bool locked = std::count(keys.begin(), keys.end(), 2) > 0;
    return locked && refusals-- > 0 ? absl::AbortedError("2 is locked")
                                    : absl::OkStatus();
  };
  StartBusy();
  for (int key = 1; key <= 4; ++key) Submit(key);
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each(""));
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
  StartBusy();
  for (int key = 1; key <= 4; ++key) Submit(key);
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each(""));
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
  StartBusy();
  for (int key = 1; key <= 4; ++key) Submit(key);
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each(""));
  EXPECT_THAT(
      database_.statements(),
      ElementsAre(Keys{0}, Keys{1, 2, 3, 4}, Keys{1, 2, 3, 4}, Keys{1, 2},
                  Keys{3, 4}, Keys{3}, Keys{4}, Keys{3}, Keys{3}));
}

TEST_F(LaneTest, DropsWhatIsPastItsDeadlineBeforeItCostsAStatement) {
  std::atomic<int> seconds = 0;
  options_.clock = [&] { return Seconds(seconds); };
  StartBusy();
  CallContext context;
  context.deadline = Seconds(10);
  Submit(1, context);
  Submit(2);
  seconds = 10;
  database_.Open();
  EXPECT_THAT(answers_.Await(), ElementsAre("", "DEADLINE_EXCEEDED", ""));
  EXPECT_THAT(database_.statements(), ElementsAre(Keys{0}, Keys{2}));
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

TEST_F(LaneTest, DropsWhatWasCancelledWhileTheConnectionWasMade) {
  std::atomic<bool> cancelled = false;
  database_.on_connect = [&] {
    cancelled = true;
    return absl::OkStatus();
  };
  Start();
  CallContext context;
  context.cancelled = [&] { return cancelled.load(); };
  Submit(1, context);
  EXPECT_THAT(answers_.Await(), ElementsAre("CANCELLED"));
  EXPECT_THAT(database_.statements(), IsEmpty());
}

TEST_F(LaneTest, DropsWhatWasCancelledBeforeItCostsAStatement) {
  StartBusy();
  std::atomic<bool> cancelled = false;
  CallContext context;
  context.cancelled = [&] { return cancelled.load(); };
  Submit(1, context);
  cancelled = true;
  database_.Open();
  EXPECT_THAT(answers_.Await(), ElementsAre("", "CANCELLED"));
  EXPECT_THAT(database_.statements(), ElementsAre(Keys{0}));
}

TEST_F(LaneTest, TriesIdempotentOperationsAgainAfterALostConnection) {
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

TEST_F(LaneTest, DoesNotRepeatOtherOperationsAfterALostConnection) {
  options_.idempotent = false;
  database_.on_execute = [](const Keys&) {
    return absl::UnavailableError("lost");
  };
  Start();
  Submit(1);
  EXPECT_THAT(answers_.Await(), ElementsAre("OUTCOME_UNKNOWN"));
  EXPECT_THAT(database_.statements(), SizeIs(1));
}

TEST_F(LaneTest, HoldsOperationsWhileThereIsNoConnection) {
  options_.idempotent = false;  // for nothing was sent
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
  CallContext context;
  context.deadline = base::SteadyTime::Now() + absl::Milliseconds(30);
  Submit(1, context);
  EXPECT_THAT(answers_.Await(), ElementsAre("DATABASE_UNAVAILABLE"));
  EXPECT_THAT(database_.statements(), IsEmpty());
}

TEST_F(LaneTest, RefusesWhatIsOverTheLimit) {
  options_.max_in_flight = 3;
  StartBusy();
  for (int key = 1; key <= 4; ++key) Submit(key);
  database_.Open();
  EXPECT_THAT(answers_.Await(),
              ElementsAre("", "", "", "OVERLOADED", "OVERLOADED"));
  Submit(5);  // and takes more once it has room
  EXPECT_EQ(answers_.Await().back(), "");
}

TEST_F(LaneTest, AsksWhatToAnswerWhenTheSchemaIsNotAsNeeded) {
  database_.on_execute = [](const Keys&) {
    return absl::FailedPreconditionError("no column first_name");
  };
  options_.explain_schema_error = [] {
    return base::MakeError(absl::StatusCode::kUnavailable, "first_name",
                           "SCHEMA_NOT_READY");
  };
  StartBusy();
  Submit(1);
  Submit(2);
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each("SCHEMA_NOT_READY"));
}

TEST_F(LaneTest, DoesNotSendTheDatabasesWordsToCallers) {
  database_.on_execute = [](const Keys&) {
    return absl::InternalError("XX000 secret");
  };
  Start();
  Submit(1);
  EXPECT_THAT(answers_.Await(), ElementsAre("INTERNAL"));
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
  options_.idempotent = false;
  std::atomic<int> losses = 1;
  database_.on_execute = [&](const Keys& keys) {
    if (keys.size() == 4) return absl::InvalidArgumentError("one is refused");
    if (keys == Keys{1, 2} && losses-- > 0) {
      return absl::UnavailableError("lost");
    }
    return absl::OkStatus();
  };
  StartBusy();
  for (int key = 1; key <= 4; ++key) Submit(key);
  database_.Open();
  EXPECT_THAT(answers_.Await(),
              ElementsAre("", "OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN", "", ""));
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2, 3, 4}, Keys{1, 2}, Keys{3, 4}));
}

TEST_F(LaneTest, TriesWhateverPostgresUndidOrNeverGotAgain) {
  options_.idempotent = false;
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
  StartBusy();
  Submit(1);
  Submit(2);
  database_.Open();
  EXPECT_THAT(answers_.Await(), Each("STATEMENT_REFUSED"));
  // Each alone as well, for it may be one that is refused.
  EXPECT_THAT(database_.statements(),
              ElementsAre(Keys{0}, Keys{1, 2}, Keys{1}, Keys{2}));
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
    options_.grace = absl::Seconds(5);
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
  CallContext context;
  context.deadline = Seconds(101);
  Submit(1, context);
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
  CallContext context;
  context.deadline = Seconds(106);
  Submit(1, context);
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
