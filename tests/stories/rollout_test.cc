// A rolling update as bots see it: two replicas of the server on one database,
// restarted in turn, again and again.

#include <atomic>
#include <csignal>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::testing {
namespace {

using ::testing::IsEmpty;

constexpr int kRestarts = 20;
constexpr int kBots = 4;
constexpr std::int64_t kUsers = 50;

v1::UpsertUserRequest Contact(std::int64_t user) {
  v1::UpsertUserRequest request;
  request.set_user_id(user);
  request.mutable_identity()->set_first_name("Test");
  return request;
}

// Bots that share a client, from construction until Stop.
class Bots {
 public:
  explicit Bots(client::ProfileClient& client) {
    for (int i = 0; i < kBots; ++i) {
      threads_.emplace_back([&client, i, this] { Run(client, i); });
    }
  }
  ~Bots() { Stop(); }

  void Stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  int answered() const { return answered_; }

  // What failed; after Stop.
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  void Run(client::ProfileClient& client, int bot) {
    v1::GetProfileRequest get;
    for (std::int64_t user = 1 + bot; !stopping_; user = user % kUsers + 1) {
      const auto upserted = client.UpsertUser(Contact(user));
      Count(upserted.status());
      if (upserted.ok() && upserted->created())
        Count(absl::UnknownError("new"));
      get.set_user_id(user);
      Count(client.GetProfile(get).status());
    }
  }

  void Count(const absl::Status& status) {
    ++answered_;
    if (status.ok()) return;
    std::lock_guard<std::mutex> lock(mutex_);
    failures_.push_back(status.ToString());
  }

  std::atomic<bool> stopping_{false};
  std::atomic<int> answered_{0};
  std::mutex mutex_;
  std::vector<std::string> failures_;
  std::vector<std::thread> threads_;
};

// Whether bots have found it.
bool Serves(const ServerProgram& replica) {
  const std::string metrics = replica.Get("/metrics").body;
  const std::string line =
      "userprofile_rpc_requests_total{code=\"OK\",method=\"GetProfile\"} ";
  return absl::StrContains(metrics, line) &&
         !absl::StrContains(metrics, line + "0\n");
}

TEST(RolloutTest, NoCallFailsWhileReplicasAreRestartedInTurn) {
  TestDatabase database;
  const std::vector<std::string> flags = {"--migrate", "--drain-delay=50ms"};
  ServerProgram replicas[] = {ServerProgram(database.conninfo(), flags),
                              ServerProgram(database.conninfo(), flags)};
  for (ServerProgram& replica : replicas) replica.StartReady();

  client::ClientOptions options;
  options.timeout = absl::Seconds(30);
  const auto client = client::MakeProfileClient(
      absl::StrCat(replicas[0].address(), ",",
                   absl::StripPrefix(replicas[1].address(), "unix:")),
      options);
  ASSERT_TRUE(client.ok()) << client.status();
  for (std::int64_t user = 1; user <= kUsers; ++user) {
    ASSERT_TRUE((*client)->UpsertUser(Contact(user)).ok());
  }

  Bots bots(**client);
  for (int restart = 0; restart < kRestarts; ++restart) {
    ServerProgram& replica = replicas[restart % 2];
    EXPECT_TRUE(Eventually([&] { return Serves(replica); }));
    replica.program().Signal(SIGTERM);
    EXPECT_EQ(replica.program().Wait(), 0) << replica.program().errors();
    replica.StartReady();
  }
  bots.Stop();
  EXPECT_THAT(bots.failures(), IsEmpty());
}

TEST(RolloutTest, CallsAreTakenThroughTheDrainDelayUnlessToldTwice) {
  TestDatabase database;
  ServerProgram replica(database.conninfo(),
                        {"--migrate", "--drain-delay=600s"});
  replica.StartReady();
  const auto client = client::MakeProfileClient(replica.address());
  ASSERT_TRUE(client.ok()) << client.status();
  replica.program().Signal(SIGTERM);
  replica.AwaitNotReady("SHUTTING_DOWN");
  const auto upserted = (*client)->UpsertUser(Contact(1));
  EXPECT_TRUE(upserted.ok()) << upserted.status();
  replica.program().Signal(SIGTERM);
  EXPECT_EQ(replica.program().Wait(), 1);
}

}  // namespace
}  // namespace userprofile::testing
