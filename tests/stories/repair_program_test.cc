// `schema repair` and `backup restore` beside a service at work, and killed.

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::IsEmpty;

constexpr std::int64_t kUsers = 50;

class RepairProgramTest : public ::testing::Test {
 protected:
  RepairProgramTest() {
    server_.StartReady();
    StoreUsers(*server_.NewStub(), kUsers);
  }

  std::vector<std::string> Words(std::vector<std::string> words) const {
    words.insert(words.begin(), "userprofile-server");
    words.insert(words.end(), {"--database", database_.conninfo()});
    return words;
  }

  bool AwaitTrue(const std::string& query) const {
    return Eventually(
        [&] { return database_.Execute("SELECT " + query).Bool(0, 0); });
  }

  TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
};

// What the service can do without is mended while it serves. Somebody's long
// transaction keeps the repair waiting, not the service.
TEST_F(RepairProgramTest, NoCallFailsWhileItMendsWhatIsAdvisory) {
  database_.Execute(
      "DROP INDEX idx_users_study_track;"
      "ALTER TABLE users ALTER is_active SET DEFAULT false,"
      " ALTER last_name TYPE varchar");
  const auto load = StartLoad(server_, 4, kUsers);
  const auto holder = database_.Connect();
  ASSERT_TRUE(holder->ExecuteScript("BEGIN; SELECT FROM users LIMIT 1").ok());

  Program repair({Words({"schema", "repair", "--no-backup"})});
  for (int i = 0; i < 10; ++i) {
    const int served = load->ok();
    EXPECT_TRUE(
        Eventually([&] { return load->ok() > served + 50; }, absl::Seconds(3)));
  }
  EXPECT_TRUE(repair.running()) << repair.output();
  ASSERT_TRUE(holder->ExecuteScript("COMMIT").ok());
  EXPECT_EQ(repair.Wait(), 0) << repair.output() << repair.errors();

  const Load::Tally tally = load->Stop();
  EXPECT_THAT(tally.failures, IsEmpty());
  EXPECT_EQ(tally.created, 0);
  EXPECT_EQ(RunProgram({Words({"schema", "check"})}).exit_code, 0);
}

TEST_F(RepairProgramTest, TheNextOneFinishesWhatAKilledOneBegan) {
  database_.Execute(
      "DROP INDEX idx_users_nickname; ALTER TABLE users DROP phone");
  // CREATE INDEX CONCURRENTLY waits for older transactions to end.
  const auto holder = database_.Connect();
  ASSERT_TRUE(
      holder->ExecuteScript("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
          .ok());
  {
    Program killed({Words({"schema", "repair", "--no-backup"})});
    ASSERT_TRUE(AwaitTrue(
        "EXISTS (SELECT FROM pg_index JOIN pg_stat_activity AS a"
        " ON a.query LIKE 'CREATE UNIQUE%' AND a.wait_event_type = 'Lock'"
        " WHERE indexrelid = to_regclass('idx_users_nickname')"
        " AND NOT indisvalid)"))
        << killed.errors();
    killed.Kill();
  }
  ASSERT_TRUE(holder->ExecuteScript("COMMIT").ok());
  const Outcome next = RunProgram({Words({"schema", "repair", "--no-backup"})});
  EXPECT_EQ(next.exit_code, 0) << next.output << next.errors;
  server_.AwaitReady();
}

TEST_F(RepairProgramTest, AKilledRestoreChangesNothing) {
  const TempDir directory;
  const std::string file = directory / "users.dump";
  ASSERT_EQ(RunProgram({Words({"backup", "create", file})}).exit_code, 0);
  database_.Execute("UPDATE users SET first_name = 'newer'");

  // It waits for the table, and is killed while it does.
  const auto holder = database_.Connect();
  ASSERT_TRUE(holder->ExecuteScript("BEGIN; SELECT FROM users LIMIT 1").ok());
  {
    Program restore({Words({"backup", "restore", "--replace", file})});
    ASSERT_TRUE(AwaitTrue(
        "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%LOCK TABLE%'"
        " AND wait_event_type = 'Lock')"))
        << restore.errors();
    restore.Kill();
  }
  ASSERT_TRUE(holder->ExecuteScript("COMMIT").ok());
  EXPECT_TRUE(
      AwaitTrue("NOT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE application_name = 'psql')"));
  EXPECT_TRUE(
      AwaitTrue("(SELECT count(*) FROM users WHERE first_name = 'newer') = " +
                std::to_string(kUsers)));
  EXPECT_TRUE(
      AwaitTrue("NOT EXISTS (SELECT FROM pg_namespace"
                " WHERE nspname LIKE 'userprofile%')"));
  server_.AwaitReady();
}

}  // namespace
}  // namespace userprofile::testing
