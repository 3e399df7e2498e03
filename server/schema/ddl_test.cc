#include "server/schema/ddl.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "server/schema/back_fill.h"
#include "server/schema/damages_testing.h"
#include "server/schema/index_build.h"
#include "server/schema/migrator.h"
#include "server/schema/repair.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

const migrations::Migration& Find(migrations::Kind kind) {
  return *std::find_if(
      migrations::Embedded().begin(), migrations::Embedded().end(),
      [&](const migrations::Migration& m) { return m.kind == kind; });
}

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

  const struct {
    const char* what;
    std::function<absl::Status(const DdlOptions&)> run;
  } kCases[] = {
      {"repair",
       [&](const DdlOptions& with) {
         RepairOptions repair;
         static_cast<DdlOptions&>(repair) = with;
         const auto result = Repair(connect, repair);
         EXPECT_TRUE(result.ok() && result->report.breaches.empty());
         return result.status();
       }},
      {"check",
       [&](const DdlOptions& with) {
         MigrateOptions migrate;
         static_cast<DdlOptions&>(migrate) = with;
         return Migrate(connect, migrate).status();
       }},
      {"batches",
       [&](const DdlOptions& with) {
         return BackFill(*database.Connect(), Find(migrations::Kind::kBatches),
                         with);
       }},
      {"index",
       [&](const DdlOptions& with) {
         const auto& index = Find(migrations::Kind::kIndex);
         return BuildIndex(*database.Connect(), connect, with, index.index,
                           index.sql);
       }},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.what);
    CreateUnmigratedTable(database);
    EXPECT_TRUE(Migrate(connect).ok());
    if (test.what == absl::string_view("repair")) {
      database.Execute("ALTER TABLE users DROP phone");
    }
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
