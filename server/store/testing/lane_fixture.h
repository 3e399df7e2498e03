#ifndef USERPROFILE_SERVER_STORE_TESTING_LANE_FIXTURE_H_
#define USERPROFILE_SERVER_STORE_TESTING_LANE_FIXTURE_H_

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error_info.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/lane.h"

// What the tests of lanes share.
namespace userprofile::store {

inline constexpr absl::Duration kPatience = absl::Seconds(20);

// By a clock of the test's.
inline base::SteadyTime Seconds(int seconds) {
  return base::SteadyTime() + absl::Seconds(seconds);
}

struct KeyedOperation final : Operation {
  KeyedOperation(int k, CallContext context, Done done, std::size_t w)
      : Operation(std::move(context), std::move(done), k) {
    weight = w;
  }
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
      operation->retry = database_.TakeTwice(keys.back());
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
    EXPECT_THAT(counts_, ::testing::Each(1)) << "not exactly one answer each";
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

  void Submit(int key, CallContext context = {}, std::size_t weight = 1) {
    lane_->Submit(std::make_unique<KeyedOperation>(key, std::move(context),
                                                   answers_.Next(), weight));
  }

  // Starts with key 0 under way, so that what follows has to wait.
  void StartBusy() {
    database_.Close();
    Start();
    Submit(0);
    database_.AwaitStatements(1);
  }

  // The answers to these, which come while key 0 is under way; its own first.
  std::vector<std::string> RunTogether(const Keys& keys) {
    StartBusy();
    for (const int key : keys) Submit(key);
    database_.Open();
    return answers_.Await();
  }

  Database database_;
  Answers answers_;
  Lane::Options options_;
  std::unique_ptr<Lane> lane_;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_TESTING_LANE_FIXTURE_H_
