#include "server/schema/monitor.h"

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "base/error_info.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "server/schema/migrator.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kReady[] = "";
constexpr char kStarting[] = "STARTING";
constexpr char kSchemaNotReady[] = "SCHEMA_NOT_READY";
constexpr char kDatabaseUnavailable[] = "DATABASE_UNAVAILABLE";

// Records the states of a Readiness, by reason.
class States {
 public:
  explicit States(ops::Readiness& readiness) {
    readiness.Subscribe([this](const absl::Status& state) {
      base::MutexLock lock(mutex_);
      states_.push_back(state);
      changed_.SignalAll();
    });
  }

  // Waits until `reason` is the last state, with these words in its message,
  // and returns that. A connection that is cut may be said first.
  std::string Await(absl::string_view reason, absl::string_view words = "") {
    const base::SteadyTime deadline =
        base::SteadyTime::Now() + absl::Seconds(20);
    base::MutexLock lock(mutex_);
    while (base::ErrorReason(states_.back()) != reason ||
           !absl::StrContains(states_.back().message(), words)) {
      if (base::SteadyTime::Now() > deadline) {
        ADD_FAILURE() << "never \"" << reason << "\", but " << states_.back();
        break;
      }
      changed_.WaitFor(mutex_, absl::Milliseconds(50));
    }
    return std::string(states_.back().message());
  }

  std::vector<std::string> reasons() {
    base::MutexLock lock(mutex_);
    std::vector<std::string> reasons;
    for (const absl::Status& state : states_) {
      reasons.push_back(base::ErrorReason(state));
    }
    return reasons;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  std::vector<absl::Status> states_ ABSL_GUARDED_BY(mutex_);
};

class MonitorTest : public ::testing::Test {
 protected:
  static MonitorOptions Quick() {
    MonitorOptions options;
    options.interval = absl::Milliseconds(20);
    options.unreachable_grace = absl::Milliseconds(500);
    return options;
  }

  // Never inspects again by itself, once it inspected.
  static MonitorOptions OnDemand() {
    MonitorOptions options;
    options.interval = absl::Hours(1);
    options.unreachable_grace = absl::Hours(1);
    options.check_timeout = absl::Seconds(20);
    return options;
  }

  void MigrateDatabase() {
    ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  }

  testing::TestDatabase database_;
  ops::Readiness readiness_;  // outlives the monitors, and States these
  States states_{readiness_};
};

TEST_F(MonitorTest, BecomesReadyOnceTheSchemaIs) {
  Monitor monitor(database_.session_factory(), &readiness_, Quick());
  EXPECT_THAT(states_.Await(kSchemaNotReady), HasSubstr("users is missing"));
  MigrateDatabase();
  states_.Await(kReady);
  EXPECT_EQ(states_.reasons()[0], kStarting);
  EXPECT_EQ(states_.reasons()[1], kSchemaNotReady);
}

TEST_F(MonitorTest, SeesAColumnGoAndComeBack) {
  MigrateDatabase();
  Monitor monitor(database_.session_factory(), &readiness_, Quick());
  states_.Await(kReady);

  database_.Execute("ALTER TABLE users DROP COLUMN first_name");
  EXPECT_THAT(states_.Await(kSchemaNotReady),
              HasSubstr("users.first_name is missing"));
  EXPECT_FALSE(readiness_.AdmitRequest().ok());

  database_.Execute("ALTER TABLE users ADD COLUMN first_name varchar");
  states_.Await(kReady);
  monitor.Stop();
  EXPECT_THAT(states_.reasons(),
              ElementsAre(kStarting, kReady, kSchemaNotReady, kReady));
}

TEST_F(MonitorTest, SeesThatTheSearchPathWasMended) {
  MigrateDatabase();
  Monitor monitor(database_.session_factory(), &readiness_, Quick());
  states_.Await(kReady);
  database_.Execute(
      "CREATE SCHEMA bot; ALTER TABLE users SET SCHEMA bot;"
      "ALTER TABLE userprofile_changes SET SCHEMA bot");
  states_.Await(kSchemaNotReady);
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = bot, "
      "public', current_database()); END $$");
  states_.Await(kReady);
}

TEST_F(MonitorTest, StaysReadyWithoutAPlainIndexAndCountsIt) {
  MigrateDatabase();
  database_.Execute("DROP INDEX idx_users_grade_year");
  std::atomic<int> advisory = 0;
  MonitorOptions options = Quick();
  options.on_report = [&](const Report& report) {
    advisory = report.Count(Severity::kAdvisory);
  };
  Monitor monitor(database_.session_factory(), &readiness_, options);
  states_.Await(kReady);
  EXPECT_EQ(advisory, 1);
}

TEST_F(MonitorTest, IsUnavailableAfterTheGraceAndRecovers) {
  MigrateDatabase();
  const MonitorOptions options = Quick();
  Monitor monitor(database_.session_factory(), &readiness_, options);
  states_.Await(kReady);

  const base::SteadyTime stopped = base::SteadyTime::Now();
  database_.StopServer();
  states_.Await(kDatabaseUnavailable);
  EXPECT_GE(base::SteadyTime::Now() - stopped, options.unreachable_grace);
  EXPECT_TRUE(readiness_.AdmitRequest().ok());  // the store decides

  database_.StartServer();
  states_.Await(kReady);
  monitor.Stop();
  EXPECT_THAT(states_.reasons(),
              ElementsAre(kStarting, kReady, kDatabaseUnavailable, kReady));
}

// Neither the wall clock nor the number of failures has a part in it.
TEST_F(MonitorTest, MeasuresTheGraceByItsSteadyClock) {
  MigrateDatabase();
  std::atomic<int> seconds = 0;
  MonitorOptions options = OnDemand();
  options.unreachable_grace = absl::Seconds(5);
  options.clock = [&] {
    return base::SteadyTime() + absl::Seconds(seconds.load());
  };
  Monitor monitor(database_.session_factory(), &readiness_, options);
  EXPECT_TRUE(monitor.CheckNow().ok());
  database_.StopServer();
  for (const int now : {100, 100, 104, 104}) {
    seconds = now;
    EXPECT_FALSE(monitor.CheckNow().ok());
    EXPECT_TRUE(readiness_.state().ok());
  }
  seconds = 105;
  EXPECT_FALSE(monitor.CheckNow().ok());
  EXPECT_EQ(base::ErrorReason(readiness_.state()), kDatabaseUnavailable);
}

// What lasts, and is no outage, has a name of its own.
TEST_F(MonitorTest, SaysWhatRefusesItsInspections) {
  MigrateDatabase();
  const struct {
    const char* sqlstate;
    const char* reason;
    const char* words;
  } kCases[] = {
      {"42883", kSchemaNotReady, "refuses the inspection of its schema "},
      {"XX001", kDatabaseUnavailable, "does not say in time"},
      {"55P03", kDatabaseUnavailable, "others hold the table users"},
      {"08006", kDatabaseUnavailable, "can't be reached"},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.sqlstate);
    std::atomic<bool> refuses = false;
    MonitorOptions options = Quick();
    options.unreachable_grace = absl::Milliseconds(50);
    Monitor monitor(
        [&]() -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
          if (refuses) {
            return postgres::ErrorFromSqlState(test.sqlstate, "secret");
          }
          return database_.session_factory()();
        },
        &readiness_, options);
    states_.Await(kReady);
    refuses = true;
    database_.CutConnections();
    EXPECT_THAT(states_.Await(test.reason, test.words),
                AllOf(HasSubstr(test.words), Not(HasSubstr("secret"))));
    refuses = false;
    states_.Await(kReady);
  }
}

TEST_F(MonitorTest, SaysThatOthersHoldTheTable) {
  MigrateDatabase();
  MonitorOptions options = Quick();
  options.unreachable_grace = absl::Milliseconds(50);
  Monitor monitor(database_.session_factory(), &readiness_, options);
  states_.Await(kReady);
  const auto other = database_.Connect();
  ASSERT_TRUE(
      other->ExecuteScript("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
          .ok());
  EXPECT_THAT(states_.Await(kDatabaseUnavailable),
              HasSubstr("others hold the table users"));
  ASSERT_TRUE(other->ExecuteScript("COMMIT").ok());
  states_.Await(kReady);
}

TEST_F(MonitorTest, RidesOutAnOutageThatIsShorterThanTheGrace) {
  MigrateDatabase();
  Monitor monitor(database_.session_factory(), &readiness_, OnDemand());
  EXPECT_TRUE(monitor.CheckNow().ok());
  database_.StopServer();
  EXPECT_EQ(base::ErrorReason(monitor.CheckNow()), kDatabaseUnavailable);
  database_.StartServer();
  EXPECT_TRUE(monitor.CheckNow().ok());
  database_.CutConnections();
  EXPECT_TRUE(monitor.CheckNow().ok());
  EXPECT_THAT(states_.reasons(), ElementsAre(kStarting, kReady));
}

TEST_F(MonitorTest, SaysAtOnceThatItNeverReachedADatabase) {
  Monitor monitor([] { return absl::UnavailableError("connection refused"); },
                  &readiness_, OnDemand());
  states_.Await(kDatabaseUnavailable);
  EXPECT_FALSE(readiness_.AdmitRequest().ok());
}

TEST_F(MonitorTest, ChecksOnDemandNotTakingAnOlderAnswer) {
  MigrateDatabase();
  std::atomic<int> inspections = 0;
  std::thread checker;
  Monitor* monitor = nullptr;
  base::Mutex mutex;
  base::CondVar built;
  bool is_built = false;

  MonitorOptions options = OnDemand();
  options.on_report = [&](const Report& report) {
    if (++inspections > 1) return;
    // The first inspection found all well, and is still under way.
    base::MutexLock lock(mutex);
    while (!is_built) built.Wait(mutex);
    database_.Execute("ALTER TABLE users DROP COLUMN first_name");
    checker = std::thread([&] {
      EXPECT_EQ(base::ErrorReason(monitor->CheckNow()), kSchemaNotReady);
    });
  };
  Monitor the_monitor(database_.session_factory(), &readiness_, options);
  {
    base::MutexLock lock(mutex);
    monitor = &the_monitor;
    is_built = true;
    built.SignalAll();
  }
  states_.Await(kSchemaNotReady);
  checker.join();
  EXPECT_EQ(inspections, 2);
}

TEST_F(MonitorTest, AnswersManyChecksAtOnce) {
  MigrateDatabase();
  Monitor monitor(database_.session_factory(), &readiness_, OnDemand());
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(monitor.CheckNow().ok()); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(MonitorTest, StopsWithoutWaitingForTheInterval) {
  MigrateDatabase();
  Monitor monitor(database_.session_factory(), &readiness_, OnDemand());
  states_.Await(kReady);
  const base::SteadyTime start = base::SteadyTime::Now();
  monitor.Stop();
  monitor.Stop();
  EXPECT_LT(base::SteadyTime::Now() - start, absl::Seconds(10));
  EXPECT_EQ(base::ErrorReason(monitor.CheckNow()), kDatabaseUnavailable);
}

}  // namespace
}  // namespace userprofile::schema
