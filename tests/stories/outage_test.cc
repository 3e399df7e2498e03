// The database goes away under a service that is at work, and comes back.

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::IsEmpty;

constexpr std::int64_t kUsers = 50;

class OutageTest : public ::testing::Test {
 protected:
  TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
};

TEST_F(OutageTest, NoCallFailsWhileTheDatabaseIsAwayForThreeSeconds) {
  server_.StartReady();
  StoreUsers(*server_.NewStub(), kUsers);
  const auto load = StartLoad(server_, 8, kUsers);
  for (int outage = 0; outage < 2; ++outage) {
    const absl::Time end = absl::Now() + absl::Seconds(3);
    database_.StopServer();
    EXPECT_TRUE(Eventually([&] { return absl::Now() > end; }));
    database_.StartServer();
    const int served = load->ok();
    EXPECT_TRUE(Eventually([&] { return load->ok() > served + 100; }));
  }
  const Load::Tally tally = load->Stop();
  EXPECT_THAT(tally.failures, IsEmpty());
  EXPECT_EQ(tally.created, 0);
}

TEST_F(OutageTest, NoCallFailsWhenTheDatabaseIsKilled) {
  server_.StartReady();
  StoreUsers(*server_.NewStub(), kUsers);
  const auto load = StartLoad(server_, 8, kUsers);
  database_.KillServer();
  const int served = load->ok();
  EXPECT_TRUE(Eventually([&] { return load->ok() > served + 100; }));
  const Load::Tally tally = load->Stop();
  EXPECT_THAT(tally.failures, IsEmpty());
  EXPECT_EQ(tally.created, 0);
}

TEST_F(OutageTest,
       AFrozenDatabaseKeepsItNeitherFromServingLaterNorFromStopping) {
  server_.StartReady();
  StoreUsers(*server_.NewStub(), kUsers);
  const auto load = StartLoad(server_, 8, kUsers);
  const auto freeze = [&] {
    std::vector<pid_t> frozen;
    const auto rows = database_.Execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()");
    for (int i = 0; i < static_cast<int>(rows.size()); ++i) {
      frozen.push_back(static_cast<pid_t>(rows.Int64(i, 0)));
      EXPECT_EQ(kill(frozen.back(), SIGSTOP), 0);
    }
    return frozen;
  };
  const auto thaw = [](const std::vector<pid_t>& frozen) {
    for (const pid_t pid : frozen) kill(pid, SIGCONT);
  };

  std::vector<pid_t> frozen = freeze();
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(server_.program().errors(), "does not answer");
  }));
  thaw(frozen);
  const int served = load->ok();
  EXPECT_TRUE(Eventually([&] { return load->ok() > served + 100; }));

  frozen = freeze();
  server_.program().Signal(SIGTERM);
  EXPECT_EQ(server_.program().Wait(), 0) << server_.program().errors();
  thaw(frozen);
  server_.StartReady();
  const Load::Tally tally = load->Stop();
  EXPECT_EQ(tally.created, 0);
  EXPECT_EQ(tally.not_found, 0);
}

TEST_F(OutageTest, StartsWithoutADatabaseAndServesOnceItIsThere) {
  database_.StopServer();
  server_.Start();
  server_.AwaitNotReady("database");
  EXPECT_EQ(server_.Get("/livez").code, 200);
  database_.StartServer();
  server_.AwaitReady();
  v1::UpsertUserResponse response;
  EXPECT_TRUE(Upsert(*server_.NewStub(), 1, &response).ok());
  EXPECT_TRUE(response.created());
}

TEST_F(OutageTest, SaysThatTheDatabaseIsAwayAfterSomeSeconds) {
  server_.StartReady();
  database_.StopServer();
  server_.AwaitNotReady("DATABASE_UNAVAILABLE");
  v1::GetProfileResponse response;
  const grpc::Status status =
      Get(*server_.NewStub(), 1, &response, std::chrono::seconds(2));
  EXPECT_NE(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_FALSE(status.ok());
  database_.StartServer();
  server_.AwaitReady();
}

}  // namespace
}  // namespace userprofile::testing
