#include "server/app/statement_watch.h"

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/schema/backup.h"
#include "server/schema/migrator.h"
#include "tests/support/captured_log.h"
#include "tests/support/own_cluster.h"
#include "tests/support/temp_dir.h"

namespace userprofile::app {
namespace {

using base::SteadyTime;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Its times are tenths and less of those of the commands.
class StatementWatchTest : public ::testing::Test {
 protected:
  static StatementWatchOptions Quick() {
    StatementWatchOptions options;
    options.look_after = absl::Milliseconds(200);
    options.silence = absl::Seconds(1);
    options.standby = absl::Seconds(1);
    options.interval = absl::Milliseconds(50);
    return options;
  }

  StatementWatchTest() {
    postgres::DatabaseOptions options;
    options.database = cluster_->conninfo();
    auto database =
        postgres::Database::Open(options, postgres::Database::Use::kCommand);
    EXPECT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
  }

  static void SetUpTestSuite() {
    cluster_ = std::make_unique<testing::OwnCluster>();
  }
  static void TearDownTestSuite() { cluster_ = nullptr; }

  static inline std::unique_ptr<testing::OwnCluster> cluster_;

  const testing::CapturedLog log_;
  std::unique_ptr<postgres::Database> database_;
};

TEST_F(StatementWatchTest, EndsWithWordsWhereTheStandbyIsGone) {
  StatementWatch watch(*database_, Quick());
  const auto session = watch.Sessions()();
  ASSERT_TRUE(session.ok()) << session.status();
  cluster_->Set("synchronous_standby_names = 'nobody'");
  const absl::Status status =
      (*session)->ExecuteScript("CREATE TABLE public.waits ()").status();
  EXPECT_EQ(base::ErrorReason(status), "REPLICATION_STALLED");
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("synchronous standby"),
                    HasSubstr("run the command again")));
  EXPECT_THAT(log_.text(),
              HasSubstr("still waiting for a synchronous standby"));
  // Whatever else the command tries says the same, at once.
  EXPECT_EQ((*session)->ExecuteScript("SELECT 1").status(), status);
  EXPECT_EQ(watch.Sessions()().status(), status);
  cluster_->Set("synchronous_standby_names = ''");
  cluster_->Execute("DROP TABLE public.waits");
}

TEST_F(StatementWatchTest, EndsWithWordsWherePostgresIsSilent) {
  StatementWatch watch(*database_, Quick());
  const auto session = watch.Sessions()();
  ASSERT_TRUE(session.ok()) << session.status();
  cluster_->Signal(SIGSTOP);
  const SteadyTime begin = SteadyTime::Now();
  const absl::Status status = (*session)->ExecuteScript("SELECT 1").status();
  EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(20));
  cluster_->Signal(SIGCONT);
  EXPECT_EQ(base::ErrorReason(status), "DATABASE_UNAVAILABLE");
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("PostgreSQL has answered nothing for"),
                    HasSubstr("run the command again")));
  EXPECT_THAT(log_.text(), HasSubstr("waiting for an answer of PostgreSQL"));
}

// pg_dump would wait for ever: it is not one of our sessions.
TEST_F(StatementWatchTest, EndsABackupWherePostgresIsSilent) {
  ASSERT_TRUE(schema::Migrate(database_->Sessions()).ok());
  cluster_->Execute(
      "INSERT INTO public.users (user_id, first_name, created_at, updated_at,"
      " last_seen_at) SELECT n, repeat('x', 1000), now(), now(), now()"
      " FROM generate_series(1, 200000) AS n");
  StatementWatch watch(*database_, Quick());
  const testing::TempDir directory;
  auto backup = std::async(std::launch::async, [&] {
    return schema::CreateBackup(watch.Sessions(), cluster_->conninfo(),
                                directory.path() + "/backup");
  });
  const SteadyTime limit = SteadyTime::Now() + absl::Seconds(20);
  while (cluster_
             ->Execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE"
                       " 'COPY%' AND application_name = 'pg_dump'")
             .empty()) {
    ASSERT_NE(backup.wait_for(std::chrono::seconds(0)),
              std::future_status::ready)
        << backup.get();
    ASSERT_TRUE(SteadyTime::Now() < limit);
  }
  cluster_->Signal(SIGSTOP);
  const absl::Status status = backup.get();
  cluster_->Signal(SIGCONT);
  EXPECT_EQ(base::ErrorReason(status), "DATABASE_UNAVAILABLE") << status;
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  cluster_->Execute("DROP TABLE public.users, public.userprofile_migrations");
}

TEST_F(StatementWatchTest, LetsAStatementTakeItsTimeAndSaysWhatItWaitsFor) {
  StatementWatch watch(*database_, Quick());
  cluster_->Execute("CREATE TABLE public.held ()");
  const auto session = watch.Sessions()();
  const auto holder = database_->Sessions()();
  ASSERT_TRUE(session.ok() && holder.ok());
  ASSERT_TRUE((*holder)->ExecuteScript("BEGIN; LOCK TABLE public.held").ok());
  const auto pid = (*holder)->ExecuteScript("SELECT pg_backend_pid()");
  ASSERT_TRUE(pid.ok()) << pid.status();
  std::thread release([&] {
    // Longer than PostgreSQL may be silent or a commit may wait.
    EXPECT_TRUE((*holder)->ExecuteScript("SELECT pg_sleep(3); COMMIT").ok());
  });
  EXPECT_TRUE(
      (*session)
          ->ExecuteScript("SET lock_timeout = 0; "
                          "SET statement_timeout = 0; DROP TABLE public.held")
          .ok());
  release.join();
  EXPECT_THAT(log_.text(),
              HasSubstr(absl::StrCat("still waiting for locks held by process ",
                                     pid->Text(0, 0))));
}

}  // namespace
}  // namespace userprofile::app
