// The service on a cluster that fails over, fault by fault: what bots are told
// is held against a model of all that was acknowledged.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/ha/bots.h"
#include "tests/ha/patroni_cluster.h"
#include "tests/ha/readiness_log.h"
#include "tests/support/server_program.h"

namespace userprofile::testing {
namespace {

using ::testing::IsEmpty;
using Logs = std::vector<std::unique_ptr<ReadinessLog>>;

// What a fault has at hand.
struct Scene {
  PatroniCluster& cluster;
  int primary;  // before the fault
  Logs& logs;

  // Waits until no server is ready.
  void AwaitUnready() {
    EXPECT_TRUE(Eventually(
        [&] {
          return std::none_of(logs.begin(), logs.end(),
                              [](const auto& log) { return log->ready(); });
        },
        absl::Seconds(30)))
        << "a server stays ready";
  }
};

struct Fault {
  // What happens, as a test's name.
  const char* name;

  // Brings it about, and about to its end: a primary takes writes after it.
  void (*happen)(Scene&);

  // At most that long no write may go through.
  absl::Duration pause;

  // Whether a caller with 10 s to spend sees no error. With 30 s none ever
  // does.
  bool ridden_out_in_10_s = false;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

const Fault kFaults[] = {
    {"Switchover",
     [](Scene& scene) {
       scene.cluster.SwitchOver(PatroniCluster::StandbysOf(scene.primary)[0]);
     },
     absl::Seconds(8), true},
};

// The most backends of the service that a node has, looked up again and again.
class Backends {
 public:
  Backends() : thread_([this] { Run(); }) {}
  ~Backends() {
    stopping_ = true;
    thread_.join();
  }

  int most() const { return most_; }

 private:
  void Run() {
    while (!stopping_) {
      for (int node = 1; node <= PatroniCluster::kNodes; ++node) {
        int count = 0;
        if (absl::SimpleAtoi(
                PatroniCluster::Sql(node,
                                    "SELECT count(*) FROM pg_stat_activity"
                                    " WHERE usename = 'userprofile_server'"),
                &count)) {
          most_ = std::max<int>(most_, count);
        }
      }
      absl::SleepFor(absl::Milliseconds(500));
    }
  }

  std::atomic<int> most_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // last: starts when all else is made
};

class HaTest : public ::testing::TestWithParam<Fault> {
 protected:
  static void SetUpTestSuite() {
    const std::vector<std::string> missing = PatroniCluster::Missing();
    if (geteuid() != 0) missing_ = "root";
    if (!missing.empty()) missing_ = absl::StrJoin(missing, ", ");
    if (!missing_.empty()) return;
    cluster_ = new PatroniCluster;
    servers_ = new std::vector<std::unique_ptr<ServerProgram>>;
    // Patience for calls of 30 s; the nodes in two orders.
    for (const std::vector<int>& nodes :
         {std::vector<int>{1, 2, 3}, std::vector<int>{3, 2, 1}}) {
      servers_->push_back(std::make_unique<ServerProgram>(
          PatroniCluster::Url(nodes),
          std::vector<std::string>{"--max-timeout", "30s"}));
      servers_->back()->StartReady();
    }
  }

  static void TearDownTestSuite() {
    delete servers_;
    delete cluster_;
    servers_ = nullptr;
    cluster_ = nullptr;
  }

  void SetUp() override {
    if (!missing_.empty()) {
      GTEST_SKIP() << "there is no cluster here: it needs " << missing_;
    }
  }

  inline static std::string missing_;
  inline static PatroniCluster* cluster_ = nullptr;
  inline static std::vector<std::unique_ptr<ServerProgram>>* servers_ = nullptr;
  inline static std::int64_t next_user_ = 1;
};

std::string Words(const Bots::Tally& tally) {
  return absl::StrCat(
      tally.ok, " OK, slowest ",
      absl::FormatDuration(absl::Trunc(tally.slowest, absl::Milliseconds(1))),
      ", failed: {",
      absl::StrJoin(tally.failures, ", ", absl::PairFormatter(" x ")), "}");
}

std::string Seconds(absl::Duration duration) {
  return absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(10)));
}

TEST_P(HaTest, NobodyLooksNewAndNothingIsLost) {
  const Fault& fault = GetParam();
  const int old_primary = PatroniCluster::AwaitWhole();
  std::vector<const ServerProgram*> servers;
  Logs logs;
  for (const auto& server : *servers_) {
    server->AwaitReady();
    servers.push_back(server.get());
    logs.push_back(std::make_unique<ReadinessLog>(server.get()));
  }
  Backends backends;
  Bots bots({{servers, 4, std::chrono::seconds(10)},
             {servers, 4, std::chrono::seconds(30)}},
            next_user_);
  next_user_ += 1000000;
  bots.AwaitAnswers();

  Scene scene{*cluster_, old_primary, logs};
  fault.happen(scene);
  bots.AwaitAnswers();
  for (const auto& server : *servers_) server->AwaitReady();
  const int primary = PatroniCluster::AwaitWhole();
  bots.Stop();

  const Bots::Pause pause = bots.LongestPause();
  std::printf("%s: no write for %s, at most %d backends\n", fault.name,
              Seconds(pause.length()).c_str(), backends.most());
  EXPECT_LE(pause.length(), fault.pause);
  for (const auto& log : logs) {
    const auto off = log->FirstOff(pause.begin);
    const auto on = log->LastOn();
    std::printf("  readiness off after %s, on after %s\n",
                off ? Seconds(off->time - pause.begin).c_str() : "-",
                on ? Seconds(on->time - pause.end).c_str() : "-");
    if (pause.length() > absl::Seconds(10)) {
      ASSERT_TRUE(off) << "it stayed ready";
      EXPECT_LE(off->time - pause.begin, absl::Seconds(10));
    }
    if (on) {
      EXPECT_LE(on->time - pause.end, absl::Seconds(2));
    }
  }
  for (const auto deadline :
       {std::chrono::seconds(10), std::chrono::seconds(30)}) {
    const Bots::Tally tally = bots.TallyOf(deadline);
    std::printf("  with %d s: %s\n", static_cast<int>(deadline.count()),
                Words(tally).c_str());
    EXPECT_THAT(tally.falsely_new, IsEmpty());
    EXPECT_THAT(tally.stale, IsEmpty());
    EXPECT_THAT(tally.strange, IsEmpty());
    if (deadline == std::chrono::seconds(30) || fault.ridden_out_in_10_s) {
      EXPECT_THAT(tally.failures, IsEmpty());
    }
  }
  EXPECT_THAT(
      bots.LostIn(PatroniCluster::Sql(
          primary, "SELECT user_id, last_name, onboarding_completed FROM users",
          "userprofile")),
      IsEmpty());
  EXPECT_LE(backends.most(), 40);
}

INSTANTIATE_TEST_SUITE_P(Faults, HaTest, ::testing::ValuesIn(kFaults),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace userprofile::testing
