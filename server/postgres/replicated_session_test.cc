#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "server/postgres/session.h"
#include "server/postgres/watchdog.h"
#include "tests/support/replicated_database.h"

namespace userprofile::postgres {
namespace {

using ::userprofile::testing::ReplicatedDatabase;

constexpr absl::Duration kLimit = absl::Seconds(30);

// Sessions on a primary whose commits wait for a standby. Each test leaves it
// as it was.
class ReplicatedSessionTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    database_ = std::make_unique<ReplicatedDatabase>();
    ReplicatedDatabase::Execute(database_->primary(),
                                "CREATE TABLE public.t (n int)");
  }
  static void TearDownTestSuite() { database_.reset(); }

  ~ReplicatedSessionTest() override { database_->ThawStandby(); }

  static std::unique_ptr<Session> MakeSession() {
    ConnectOptions options;
    options.conninfo = database_->primary();
    auto session = Connect(options);
    EXPECT_TRUE(session.ok()) << session.status();
    return *std::move(session);
  }

  static bool AwaitWaitingCommits(int count) {
    const base::SteadyTime end = base::SteadyTime::Now() + kLimit;
    while (database_->WaitingCommits() != count) {
      if (base::SteadyTime::Now() > end) return false;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return true;
  }

  // Starts `body`, and cancels its waits for the frozen standby until it ends;
  // how it ends.
  template <typename Body>
  absl::Status CancelWaitsOf(Body body) {
    auto result = std::async(std::launch::async, body);
    while (result.wait_for(std::chrono::milliseconds(20)) !=
           std::future_status::ready) {
      database_->CancelWaitingCommits();
    }
    return result.get();
  }

  static inline std::unique_ptr<ReplicatedDatabase> database_;
};

void ExpectStalled(const absl::Status& status) {
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(MayHaveTakenEffect(status)) << status;
  EXPECT_EQ(base::ErrorReason(status),
            base::ReasonName(v1::ERROR_REASON_REPLICATION_STALLED))
      << status;
}

constexpr Statement kInsert = {"insert_t",
                               "INSERT INTO public.t VALUES ($1::int)"};

TEST_F(ReplicatedSessionTest, TakesNoCommitForDoneWhoseWaitWasCancelled) {
  const auto session = MakeSession();
  ASSERT_TRUE(session->Execute(kInsert, {"1"}).ok());
  database_->FreezeStandby();
  ExpectStalled(
      CancelWaitsOf([&] { return session->Execute(kInsert, {"2"}).status(); }));
  EXPECT_TRUE(session->lost());
}

TEST_F(ReplicatedSessionTest, TakesNoTransactionForDoneWhoseWaitWasCancelled) {
  const auto session = MakeSession();
  database_->FreezeStandby();
  ExpectStalled(CancelWaitsOf([&] {
    return InTransaction(
        *session, [&] { return session->Execute(kInsert, {"3"}).status(); });
  }));
  EXPECT_TRUE(session->lost());
}

TEST_F(ReplicatedSessionTest, TakesNoConfirmationForOneWhoseWaitWasCancelled) {
  const auto session = MakeSession();
  database_->FreezeStandby();
  ExpectStalled(CancelWaitsOf([&] { return ConfirmPrimary(*session); }));
}

TEST_F(ReplicatedSessionTest, LosesACommitWhoseWaitWasEnded) {
  const auto session = MakeSession();
  database_->FreezeStandby();
  auto result = std::async(std::launch::async, [&] {
    return session->Execute(kInsert, {"4"}).status();
  });
  ASSERT_TRUE(AwaitWaitingCommits(1));
  ReplicatedDatabase::Execute(
      database_->primary(),
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE wait_event = 'SyncRep'");
  const absl::Status status = result.get();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(MayHaveTakenEffect(status)) << status;
}

// The standby comes back between the commit whose wait was cancelled and the
// proof: the write is there.
TEST_F(ReplicatedSessionTest, TakesACommitForDoneOnceTheStandbyHasALaterOne) {
  const auto session = MakeSession();
  database_->FreezeStandby();
  auto result = std::async(std::launch::async, [&] {
    return session->Execute(kInsert, {"5"}).status();
  });
  ASSERT_TRUE(AwaitWaitingCommits(1));
  database_->CancelWaitingCommits();
  ASSERT_TRUE(AwaitWaitingCommits(1));  // the proof
  database_->ThawStandby();
  const absl::Status status = result.get();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_FALSE(session->lost());
}

TEST_F(ReplicatedSessionTest, GoesOnWhereATriggerWarns) {
  const auto session = MakeSession();
  ReplicatedDatabase::Execute(
      database_->primary(),
      "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN RAISE WARNING 'of mine'; RETURN NEW; END $$;"
      "CREATE TRIGGER warns BEFORE INSERT ON t"
      " FOR EACH ROW EXECUTE FUNCTION warn()");
  const auto rows = session->Execute(kInsert, {"6"});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->affected(), 1);
  EXPECT_TRUE(InTransaction(*session, [&] {
                return session->Execute(kInsert, {"7"}).status();
              }).ok());
  EXPECT_TRUE(session->ExecuteScript("ROLLBACK").ok());  // warns, too
  EXPECT_TRUE(session->healthy());
  ReplicatedDatabase::Execute(database_->primary(), "DROP TRIGGER warns ON t");
}

TEST_F(ReplicatedSessionTest, SaysThatAStandbyIsReadOnly) {
  ConnectOptions options;
  options.conninfo = database_->standby();
  const absl::Status status = Connect(options).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(base::ErrorReason(status),
            base::ReasonName(v1::ERROR_REASON_DATABASE_READ_ONLY))
      << status;
}

}  // namespace
}  // namespace userprofile::postgres
