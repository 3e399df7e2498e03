// The service on a cluster that fails over, fault by fault: what bots are told
// is held against a model of all that was acknowledged.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/periodic_thread.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/ha/bots.h"
#include "tests/ha/patroni_cluster.h"
#include "tests/ha/readiness_log.h"
#include "tests/support/server_program.h"

namespace userprofile::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using Logs = std::vector<std::unique_ptr<ReadinessLog>>;

// What a fault has at hand.
struct Scene {
  PatroniCluster& cluster;
  int primary;  // before the fault
  Bots& bots;
  const Logs& logs;

  // Waits until no server is ready.
  void AwaitUnready() {
    EXPECT_TRUE(Eventually(
        [this] {
          return std::none_of(logs.begin(), logs.end(),
                              [](const auto& log) { return log->ready(); });
        },
        absl::Seconds(30)))
        << "a server stays ready";
  }

  // Waits for another primary, and until calls go through it.
  void AwaitFailover() {
    PatroniCluster::AwaitPrimary(primary);
    bots.AwaitAnswers();
  }
};

struct Fault {
  // What happens, as a test's name.
  const char* name;

  // Makes ready for it, before there are calls. Returns the primary.
  int (*prepare)(PatroniCluster&) = [](PatroniCluster&) {
    return PatroniCluster::AwaitWhole();
  };

  // Brings it about, and to its end: all nodes run under Patroni again.
  void (*happen)(Scene&);

  // At most that long no write goes through.
  absl::Duration pause;

  // Whether a caller with 10 s to spend sees no error. With 30 s none ever
  // does if writes pause for less than 25 s.
  bool ridden_out_in_10_s = false;

  // Whether the calls go to the servers whose databases are behind proxies.
  bool by_proxies = false;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

// Cuts the primary off, until another one has taken its place.
void CutPrimary(Scene& scene) {
  Network& network = scene.cluster.network();
  network.Cut(scene.primary);
  scene.AwaitFailover();
  network.Heal(scene.primary);
}

int AwaitWholeWithPrimaryNamedLast(PatroniCluster& cluster) {
  const int primary = PatroniCluster::AwaitWhole();
  if (primary != 2) return primary;
  cluster.SwitchOver(PatroniCluster::StandbysOf(primary)[0]);
  return PatroniCluster::AwaitWhole();
}

// Patroni is gone, and the PostgreSQL that it leaves behind does not hear that
// another one becomes the primary.
void KillPatroniOfPrimary(Scene& scene) {
  scene.cluster.KillPatroni(scene.primary);
  scene.AwaitFailover();
  EXPECT_EQ(PatroniCluster::Sql(scene.primary, "SELECT pg_is_in_recovery()"),
            "f");
  scene.cluster.Start(scene.primary);
}

// Somebody cancels commits that wait for a standby, again and again; then the
// machine is lost, and with it what they had written.
void CancelWaitingCommits(Scene& scene) {
  Network& network = scene.cluster.network();
  const std::vector<int> standbys = PatroniCluster::StandbysOf(scene.primary);
  for (const int standby : standbys) {
    network.Mute(scene.primary, Network::Address(standby));
  }
  int cancelled = 0;
  EXPECT_TRUE(Eventually([&] {
    int count = 0;
    if (absl::SimpleAtoi(
            PatroniCluster::Sql(scene.primary,
                                "SELECT count(pg_cancel_backend(pid))"
                                " FROM pg_stat_activity"
                                " WHERE wait_event = 'SyncRep'"),
            &count)) {
      cancelled += count;
    }
    return cancelled >= 10;
  }));
  network.Cut(scene.primary);
  scene.cluster.KillNode(scene.primary);
  for (const int standby : standbys) {
    network.Unmute(scene.primary, Network::Address(standby));
  }
  scene.AwaitFailover();
  network.Heal(scene.primary);
  scene.cluster.Start(scene.primary);
}

void KillStandbys(Scene& scene) {
  const std::vector<int> standbys = PatroniCluster::StandbysOf(scene.primary);
  for (const int standby : standbys) scene.cluster.KillNode(standby);
  scene.AwaitUnready();
  for (const int standby : standbys) scene.cluster.Start(standby);
}

// The one that commits wait for falls silent; the other one takes its part.
void CutStandby(Scene& scene) {
  const int standby = PatroniCluster::StandbysOf(scene.primary)[0];
  scene.cluster.network().Cut(standby);
  const auto is_given_up = [&] {
    return PatroniCluster::Sql(
               scene.primary,
               absl::StrCat("SELECT count(*) FROM pg_stat_replication WHERE"
                            " application_name = 'pg",
                            standby, "' OR sync_state <> 'sync'")) == "0";
  };
  EXPECT_TRUE(Eventually(is_given_up));
  scene.bots.AwaitAnswers();
  scene.cluster.network().Heal(standby);
}

// A node that was away during two switchovers is started alone, and made a
// primary, as by somebody who took it for the last one: its timeline is lower.
constexpr int kLoner = 3;
int PromoteAnOldStandby(PatroniCluster& cluster) {
  int primary = PatroniCluster::AwaitWhole();
  if (primary == kLoner) {
    cluster.SwitchOver(PatroniCluster::StandbysOf(primary)[0]);
    primary = PatroniCluster::AwaitWhole();
  }
  cluster.KillNode(kLoner);
  cluster.SwitchOver(3 - primary);
  cluster.SwitchOver(primary);
  cluster.PromoteAlone(kLoner);
  return primary;
}

// Then it is the only one that the servers can reach.
void LeaveTheLonerAlone(Scene& scene) {
  Network& network = scene.cluster.network();
  for (const int node : {1, 2}) network.Mute(node, Network::OwnAddress());
  scene.AwaitUnready();
  for (const int node : {1, 2}) network.Unmute(node, Network::OwnAddress());
  scene.bots.AwaitAnswers();
  scene.cluster.KillNode(kLoner);
  scene.cluster.StartEmpty(kLoner);
}

const Fault kFaults[] = {
    {.name = "Switchover",
     .happen =
         [](Scene& scene) {
           const int standby = PatroniCluster::StandbysOf(scene.primary)[0];
           scene.cluster.SwitchOver(standby);
         },
     .pause = absl::Seconds(8),
     .ridden_out_in_10_s = true},
    {.name = "PostmasterKilled",
     .happen =
         [](Scene& scene) {
           PatroniCluster::KillPostmaster(scene.primary);
           scene.bots.AwaitAnswers();
         },
     .pause = absl::Seconds(9),
     .ridden_out_in_10_s = true},
    {.name = "ReadOnly",
     .happen =
         [](Scene& scene) {
           PatroniCluster::Set(scene.primary, "default_transaction_read_only",
                               "on");
           scene.AwaitUnready();
           PatroniCluster::Set(scene.primary, "default_transaction_read_only",
                               "off");
         },
     .pause = absl::Seconds(12)},
    {.name = "PrimaryCutOff", .happen = CutPrimary, .pause = absl::Seconds(30)},
    {.name = "PatroniKilled",
     .prepare = AwaitWholeWithPrimaryNamedLast,
     .happen = KillPatroniOfPrimary,
     .pause = absl::Seconds(30)},
    {.name = "WaitingCommitsCancelled",
     .happen = CancelWaitingCommits,
     .pause = absl::Seconds(33)},
    {.name = "StandbysGone",
     .happen = KillStandbys,
     .pause = absl::Seconds(20)},
    {.name = "SynchronousStandbyCutOff",
     .happen = CutStandby,
     .pause = absl::Seconds(18)},
    {.name = "LowerTimeline",
     .prepare = PromoteAnOldStandby,
     .happen = LeaveTheLonerAlone,
     .pause = absl::Seconds(12)},
    {.name = "PrimaryCutOffBehindProxies",
     .happen = CutPrimary,
     .pause = absl::Seconds(30),
     .by_proxies = true},
};

// The most backends of the service that a node has, looked up again and again.
class Backends {
 public:
  std::size_t most() const { return most_; }

 private:
  void Look() {
    for (int node = 1; node <= PatroniCluster::kNodes; ++node) {
      std::size_t count = 0;
      if (absl::SimpleAtoi(
              PatroniCluster::Sql(node,
                                  "SELECT count(*) FROM pg_stat_activity"
                                  " WHERE usename = 'userprofile_server'"),
              &count)) {
        most_ = std::max(most_.load(), count);
      }
    }
  }

  std::atomic<std::size_t> most_ = 0;
  base::PeriodicThread thread_{[this] {
    Look();
    return absl::Milliseconds(500);
  }};  // last: starts when all else is made
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
    // The nodes in two orders, and behind HAProxy and PgBouncer.
    for (const std::string& database :
         {PatroniCluster::Url({1, 2, 3}), PatroniCluster::Url({3, 2, 1}),
          PatroniCluster::HaproxyUrl(), PatroniCluster::PgbouncerUrl()}) {
      servers_->push_back(std::make_unique<ServerProgram>(database));
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

  void TearDown() override {
    if (!HasFailure()) return;
    const auto print = [](const char* whose, std::size_t number,
                          const std::string& log) {
      const std::size_t length = std::min<std::size_t>(log.size(), 5000);
      std::printf("--- %s %zu:\n%s\n", whose, number,
                  log.substr(log.size() - length).c_str());
    };
    for (int node = 1; node <= PatroniCluster::kNodes; ++node) {
      print("Patroni", node, cluster_->Log(node));
    }
    for (std::size_t i = 0; i < servers_->size(); ++i) {
      print("server", i, (*servers_)[i]->program().errors());
    }
  }

  inline static std::string missing_;
  inline static PatroniCluster* cluster_ = nullptr;
  inline static std::vector<std::unique_ptr<ServerProgram>>* servers_ = nullptr;
  inline static std::int64_t next_user_ = 1;

  // Its connections, and those that were given up but wait for a standby.
  static constexpr std::size_t kBackendsOfAServer = 8 + 8;
  static constexpr std::size_t kDirect =
      2;  // servers without a proxy, the first
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
  const int old_primary = fault.prepare(*cluster_);
  std::vector<const ServerProgram*> servers;
  Logs logs;
  for (std::size_t i = 0; i < servers_->size(); ++i) {
    (*servers_)[i]->AwaitReady();
    if ((i >= kDirect) == !fault.by_proxies) continue;
    servers.push_back((*servers_)[i].get());
    logs.push_back(std::make_unique<ReadinessLog>(servers.back()));
  }
  Backends backends;
  Bots bots({{servers, 4, std::chrono::seconds(10)},
             {servers, 4, std::chrono::seconds(30)}},
            next_user_);
  next_user_ += 1000000;
  bots.AwaitAnswers();

  Scene scene{*cluster_, old_primary, bots, logs};
  fault.happen(scene);
  bots.AwaitAnswers();
  for (const auto& server : *servers_) server->AwaitReady();
  const int primary = PatroniCluster::AwaitWhole();
  bots.Stop();

  const Bots::Pause pause = bots.LongestPause();
  std::printf("%s: no write for %s, at most %zu backends\n", fault.name,
              Seconds(pause.length()).c_str(), backends.most());
  EXPECT_LE(pause.length(), fault.pause);
  for (const auto& log : logs) {
    const auto off = log->FirstOff(pause.begin);
    const auto on = log->LastOn();
    std::printf("  readiness off after %s, on after %s\n",
                off ? Seconds(off->time - pause.begin).c_str() : "-",
                on ? Seconds(on->time - pause.end).c_str() : "-");
    if (off && off->time < pause.end) {
      EXPECT_LE(off->time - pause.begin, absl::Seconds(10));
    } else {
      EXPECT_LE(pause.length(), absl::Seconds(10)) << "it stayed ready";
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
    const bool patient = deadline == std::chrono::seconds(30) &&
                         pause.length() <= absl::Seconds(25);
    if (patient || fault.ridden_out_in_10_s) {
      EXPECT_THAT(tally.failures, IsEmpty());
    }
    EXPECT_THAT(tally.failures,
                Not(Contains(Key(HasSubstr(Bots::kWithoutReason)))));
  }
  EXPECT_THAT(
      bots.LostIn(PatroniCluster::Sql(
          primary, "SELECT user_id, last_name, onboarding_completed FROM users",
          "userprofile")),
      IsEmpty());
  EXPECT_LE(backends.most(), kBackendsOfAServer * servers_->size());
}

INSTANTIATE_TEST_SUITE_P(Faults, HaTest, ::testing::ValuesIn(kFaults),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace userprofile::testing
