#include "server/schema/ddl.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "server/schema/damages_testing.h"
#include "server/schema/migrator.h"
#include "server/schema/repair.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

// All that changes the schema makes way for somebody who alters the table, and
// goes on when they are done.
TEST(DdlTest, TriesAgainForAsLongAsTheTableIsHeld) {
  testing::TestDatabase database;
  const postgres::SessionFactory connect = database.session_factory();
  DdlOptions options;
  options.lock_timeout = absl::Milliseconds(20);
  options.attempt_pause = absl::Milliseconds(5);
  options.longest_pause = absl::Milliseconds(5);
  options.attempts = 10'000;

  const auto repair = [&](const DdlOptions& with) {
    RepairOptions repair;
    static_cast<DdlOptions&>(repair) = with;
    const auto result = Repair(connect, repair);
    EXPECT_TRUE(result.ok() && result->report.breaches.empty());
    return result.status();
  };
  const struct {
    const char* damage;
    std::function<absl::Status(const DdlOptions&)> run;
  } kCases[] = {
      {"ALTER TABLE users DROP phone", repair},
      {"ALTER TABLE users ALTER is_active DROP NOT NULL;"
       "UPDATE users SET is_active = NULL",
       repair},
      {"DROP INDEX idx_users_nickname", repair},
      {"",
       [&](const DdlOptions& with) {
         MigrateOptions migrate;
         static_cast<DdlOptions&>(migrate) = with;
         return Migrate(connect, migrate).status();
       }},
      {"",
       [&](const DdlOptions& with) {
         return InBatches(*database.Connect(), with,
                          "UPDATE :users SET phone = NULL WHERE user_id > "
                          "$1::bigint AND user_id <= $2::bigint",
                          "batches");
       }},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.damage);
    CreateUnmigratedTable(database);
    EXPECT_TRUE(Migrate(connect).ok());
    if (test.damage[0] != '\0') database.Execute(test.damage);
    const auto holder = database.Connect();
    ASSERT_TRUE(holder->ExecuteScript("BEGIN; LOCK TABLE users").ok());
    // For longer than a session waits for a lock by itself.
    const absl::Duration wait = absl::Milliseconds(1500);
    const base::SteadyTime end = base::SteadyTime::Now() + wait;
    std::atomic<int> pauses = 0;
    options.give_up = [&] {
      ++pauses;
      return false;
    };
    std::atomic<bool> done = false;
    absl::Status status;
    std::thread worker([&] {
      status = test.run(options);
      done = true;
    });
    while (!done && (pauses < 20 || base::SteadyTime::Now() < end)) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    EXPECT_FALSE(done);
    EXPECT_TRUE(holder->ExecuteScript("COMMIT").ok());
    worker.join();
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(DdlTest, FillsTheRestOfWhatAnEarlierRunFilled) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "DELETE FROM users; ALTER TABLE users ADD extra integer;"
      "INSERT INTO users (user_id) SELECT generate_series(-3, 6);"
      "UPDATE users SET extra = 1 WHERE user_id < 2");
  for (int run = 0; run < 2; ++run) {
    const absl::Status status =
        InBatches(*database.Connect(), {},
                  "UPDATE :users SET extra = coalesce(extra, 0) + 2"
                  " WHERE user_id > $1::bigint AND user_id <= $2::bigint"
                  " AND extra IS NULL",
                  "fill", 3);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(Dump(database, "extra"),
              "(1)\n(1)\n(1)\n(1)\n(1)\n(2)\n(2)\n(2)\n(2)\n(2)");
  }
}

TEST(DdlTest, CancelsAnIndexBuildThatWaitsForAnOldTransaction) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  const auto old = database.Connect();
  ASSERT_TRUE(
      old->ExecuteScript("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
          .ok());
  DdlOptions options;
  options.give_up = [&] {
    return database
        .Execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE query LIKE 'CREATE INDEX CONC%'"
            " AND wait_event_type = 'Lock')")
        .Bool(0, 0);
  };
  const auto session = database.Connect();
  const absl::Status status = RunConcurrently(
      *session, database.session_factory(), options,
      "CREATE INDEX CONCURRENTLY of_users ON users (phone)", "index");
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(session->healthy());
}

}  // namespace
}  // namespace userprofile::schema
