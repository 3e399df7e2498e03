// The database goes away under a service that is at work, and comes back.

#include <string>

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
