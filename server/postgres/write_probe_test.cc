#include "server/postgres/write_probe.h"

#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/error_info.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/postgres/database.h"
#include "server/postgres/errors.h"
#include "tests/support/own_cluster.h"

namespace userprofile::postgres {
namespace {

using base::SteadyTime;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// What is asked of the service: not ready so soon after an outage of writes
// began, ready so soon after it ended. The tests allow for a busy machine.
constexpr absl::Duration kOffWithin = absl::Seconds(10);
constexpr absl::Duration kOnWithin = absl::Seconds(2);
constexpr absl::Duration kBusyMachine = absl::Seconds(5);

// The states of a Readiness whose schema is right, and when they began.
class WriteStates {
 public:
  explicit WriteStates(ops::Readiness& readiness) {
    readiness.Set(absl::OkStatus());
    readiness.Subscribe([this](const absl::Status& state) {
      base::MutexLock lock(mutex_);
      reasons_.push_back(base::ErrorReason(state));
      since_ = SteadyTime::Now();
      changed_.SignalAll();
    });
  }

  // Waits until `reason` is the last state; how long after `begin` it came.
  absl::Duration Await(absl::string_view reason, SteadyTime begin) {
    const SteadyTime give_up = SteadyTime::Now() + absl::Seconds(40);
    base::MutexLock lock(mutex_);
    while (reasons_.back() != reason) {
      if (SteadyTime::Now() > give_up) {
        ADD_FAILURE() << "never \"" << reason << "\", but " << reasons_.back();
        break;
      }
      changed_.WaitUntil(mutex_, give_up);
    }
    return since_ - begin;
  }

  std::vector<std::string> reasons() {
    base::MutexLock lock(mutex_);
    return reasons_;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<std::string> reasons_ ABSL_GUARDED_BY(mutex_);
  SteadyTime since_ ABSL_GUARDED_BY(mutex_);
};

// A cluster of their own, for it is frozen, and its settings are changed.
class WriteProbeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<testing::OwnCluster>();
  }
  static void TearDownTestSuite() { cluster_ = nullptr; }

  void SetUp() override {
    DatabaseOptions options;
    options.database = cluster_->conninfo();
    auto database = Database::Open(options, Database::Use::kServe);
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
  }

  void StartProbe() {
    probe_ =
        std::make_unique<WriteProbe>(database_->ProbingSessions(), &readiness_);
    states_.Await("", SteadyTime::Now());
  }

  std::int64_t Waiting() {
    return cluster_
        ->Execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event = 'SyncRep'")
        .Int64(0, 0);
  }

  static inline std::unique_ptr<testing::OwnCluster> cluster_;

  std::unique_ptr<Database> database_;
  ops::Readiness readiness_;
  WriteStates states_{readiness_};
  std::unique_ptr<WriteProbe> probe_;
};

TEST_F(WriteProbeTest, SeesThatTheDatabaseIsReadOnly) {
  StartProbe();
  const SteadyTime begin = SteadyTime::Now();
  cluster_->Set("default_transaction_read_only = on");
  EXPECT_LT(states_.Await("DATABASE_READ_ONLY", begin),
            kOffWithin + kBusyMachine);
  EXPECT_TRUE(readiness_.AdmitRequest().ok());  // reads go on
  const SteadyTime end = SteadyTime::Now();
  cluster_->Set("default_transaction_read_only = off");
  EXPECT_LT(states_.Await("", end), kOnWithin + kBusyMachine);
  EXPECT_THAT(states_.reasons(),
              ElementsAre("", "STARTING", "", "DATABASE_READ_ONLY", ""));
}

TEST_F(WriteProbeTest, SeesThatNoStandbyAnswersAndLeavesOneBackendWaiting) {
  StartProbe();
  const SteadyTime begin = SteadyTime::Now();
  cluster_->Set("synchronous_standby_names = 'nobody'");
  EXPECT_LT(states_.Await("REPLICATION_STALLED", begin),
            kOffWithin + kBusyMachine);
  // In the time of some more tries.
  const SteadyTime more = SteadyTime::Now() + absl::Seconds(2);
  std::int64_t most = 0;
  while (SteadyTime::Now() < more) most = std::max(most, Waiting());
  EXPECT_EQ(most, 1);
  EXPECT_TRUE(readiness_.AdmitRequest().ok());
  const SteadyTime end = SteadyTime::Now();
  cluster_->Set("synchronous_standby_names = ''");
  EXPECT_LT(states_.Await("", end), kOnWithin + kBusyMachine);
  EXPECT_EQ(Waiting(), 0);
  EXPECT_THAT(states_.reasons(),
              ElementsAre("", "STARTING", "", "REPLICATION_STALLED", ""));
}

TEST_F(WriteProbeTest, SeesThatTheDatabaseIsSilent) {
  StartProbe();
  const SteadyTime begin = SteadyTime::Now();
  cluster_->Signal(SIGSTOP);
  EXPECT_LT(states_.Await("DATABASE_UNAVAILABLE", begin),
            kOffWithin + kBusyMachine);
  const SteadyTime end = SteadyTime::Now();
  cluster_->Signal(SIGCONT);
  EXPECT_LT(states_.Await("", end), kOnWithin + kBusyMachine);
  EXPECT_THAT(states_.reasons(),
              ElementsAre("", "STARTING", "", "DATABASE_UNAVAILABLE", ""));
}

TEST_F(WriteProbeTest, SeesThatTheDatabaseIsStopped) {
  StartProbe();
  const SteadyTime begin = SteadyTime::Now();
  cluster_->Stop();
  EXPECT_LT(states_.Await("DATABASE_UNAVAILABLE", begin),
            kOffWithin + kBusyMachine);
  cluster_->Start();
  EXPECT_LT(states_.Await("", SteadyTime::Now()), kOnWithin + kBusyMachine);
}

TEST_F(WriteProbeTest, RidesOutWhatIsShorterThanTheGrace) {
  WriteProbeOptions options;
  options.grace = absl::Hours(1);
  probe_ = std::make_unique<WriteProbe>(database_->ProbingSessions(),
                                        &readiness_, options);
  states_.Await("", SteadyTime::Now());
  cluster_->Set("synchronous_standby_names = 'nobody'");
  while (Waiting() == 0) continue;
  cluster_->Set("synchronous_standby_names = ''");
  while (Waiting() != 0) continue;
  cluster_->Stop();
  cluster_->Start();
  cluster_->Execute("SELECT 1");
  probe_ = nullptr;
  EXPECT_THAT(states_.reasons(), ElementsAre("", "STARTING", ""));
}

// At the start, too, nobody is told that it is ready before it is known.
TEST_F(WriteProbeTest, IsNotReadyBeforeTheFirstCommit) {
  cluster_->Set("default_transaction_read_only = on");
  probe_ =
      std::make_unique<WriteProbe>(database_->ProbingSessions(), &readiness_);
  const SteadyTime give_up = SteadyTime::Now() + absl::Seconds(30);
  while (states_.reasons().size() < 3 && SteadyTime::Now() < give_up) continue;
  cluster_->Set("default_transaction_read_only = off");
  states_.Await("", SteadyTime::Now());
  EXPECT_THAT(states_.reasons(), ElementsAre("", "STARTING", Not(""), ""));
}

TEST(WriteProbeCauseTest, SaysWhatTheSessionKnows) {
  const struct {
    absl::Status failure;
    const char* reason;
  } kCases[] = {
      {ConnectionLost("refused by secret"), "DATABASE_UNAVAILABLE"},
      {absl::FailedPreconditionError("secret"), "DATABASE_UNAVAILABLE"},
      {base::MakeError(absl::StatusCode::kUnavailable, "secret",
                       v1::ERROR_REASON_DEPOSED_PRIMARY),
       "DEPOSED_PRIMARY"},
      {base::MakeError(absl::StatusCode::kUnavailable, "secret",
                       v1::ERROR_REASON_WRONG_DATABASE),
       "WRONG_DATABASE"},
      {base::MakeError(absl::StatusCode::kUnavailable, "secret",
                       v1::ERROR_REASON_POOLER_UNSUPPORTED),
       "POOLER_UNSUPPORTED"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.reason);
    ops::Readiness readiness;
    WriteStates states(readiness);
    const WriteProbe probe([&] { return test.failure; }, &readiness);
    states.Await(test.reason, SteadyTime::Now());
    EXPECT_THAT(std::string(readiness.state().message()),
                Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace userprofile::postgres
