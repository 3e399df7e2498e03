#include "server/app/traffic.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/metrics.h"
#include "server/api/method.h"
#include "server/store/lane_metrics.h"

namespace userprofile::app {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class TrafficTest : public ::testing::Test {
 protected:
  // Ends an interval of two seconds.
  void Sample() {
    now_ += absl::Hours(1);  // which somebody sets all the time
    steady_now_ = steady_now_ + absl::Seconds(2);
    history_.Sample(MetricValues(metrics_.Collect()), now_, steady_now_);
  }

  void Call(const char* method, absl::StatusCode code,
            absl::Duration latency = absl::Milliseconds(2), int times = 1) {
    for (int i = 0; i < times; ++i) {
      const api::RpcMetrics rpc(&metrics_, method);
      rpc.CountStarted();
      rpc.CountFinished(code, latency);
    }
  }

  ops::Metrics metrics_;
  TrafficHistory history_{3};
  absl::Time now_ = absl::FromUnixSeconds(1000);
  base::SteadyTime steady_now_;
};

TEST_F(TrafficTest, KnowsNothingBeforeTheFirstIntervalEnds) {
  EXPECT_THAT(history_.List(), IsEmpty());
  Sample();
  EXPECT_THAT(history_.List(), IsEmpty());
  EXPECT_EQ(history_.Latest(5).all.calls, 0);
}

TEST_F(TrafficTest, TellsCallsPerSecondAndThoseThatFailed) {
  Call("GetProfile", absl::StatusCode::kOk);  // before the interval
  Sample();
  Call("GetProfile", absl::StatusCode::kOk, absl::Milliseconds(2), 5);
  Call("GetProfile", absl::StatusCode::kNotFound);
  Call("UpsertUser", absl::StatusCode::kInvalidArgument);
  Call("UpsertUser", absl::StatusCode::kUnavailable);
  Sample();
  ASSERT_THAT(history_.List(), SizeIs(1));
  const Traffic traffic = history_.List()[0];
  EXPECT_EQ(traffic.end, now_);
  EXPECT_EQ(traffic.methods.at("GetProfile").calls, 3);
  EXPECT_EQ(traffic.methods.at("GetProfile").failed, 0);
  EXPECT_EQ(traffic.methods.at("UpsertUser").calls, 1);
  EXPECT_EQ(traffic.methods.at("UpsertUser").failed, 0.5);
  EXPECT_EQ(traffic.all.calls, 4);
  EXPECT_EQ(traffic.all.failed, 0.5);
}

TEST_F(TrafficTest, TellsLatencyByWhatThereWasInTheInterval) {
  Call("GetProfile", absl::StatusCode::kOk, absl::Seconds(9), 100);
  Sample();
  Call("GetProfile", absl::StatusCode::kOk, absl::Milliseconds(2), 95);
  Call("GetProfile", absl::StatusCode::kOk, absl::Milliseconds(400), 5);
  Sample();
  const CallTraffic calls = history_.List()[0].methods.at("GetProfile");
  ASSERT_TRUE(calls.p50.has_value());
  EXPECT_GT(*calls.p50, absl::Milliseconds(1));
  EXPECT_LT(*calls.p50, absl::Milliseconds(2.5));
  EXPECT_GT(*calls.p99, absl::Milliseconds(250));
  EXPECT_LT(*calls.p99, absl::Milliseconds(500));
  EXPECT_FALSE(history_.Latest(1).methods.empty());
  Sample();
  EXPECT_FALSE(history_.Latest(1).all.p50.has_value());
}

TEST_F(TrafficTest, LatencyBeyondTheLastBoundIsThatBound) {
  Sample();
  Call("GetProfile", absl::StatusCode::kOk, absl::Seconds(60));
  Sample();
  EXPECT_EQ(history_.List()[0].all.p99, absl::Seconds(10));
}

TEST_F(TrafficTest, TellsTheMeanBatchOfALane) {
  const store::LaneMetrics lane(&metrics_, "upsert");
  Sample();
  lane.ObserveBatch(2);
  lane.ObserveBatch(5);
  Sample();
  Sample();
  EXPECT_EQ(history_.List()[0].batch_size.at("upsert"), 3.5);
  EXPECT_EQ(history_.List()[1].batch_size.at("upsert"), absl::nullopt);
}

TEST_F(TrafficTest, AMethodMayComeLater) {
  Sample();
  Call("GetProfile", absl::StatusCode::kOk, absl::Milliseconds(2), 4);
  Sample();
  EXPECT_EQ(history_.List()[0].methods.at("GetProfile").calls, 2);
}

TEST_F(TrafficTest, ForgetsWhatIsOld) {
  for (int i = 0; i < 10; ++i) {
    Call("GetProfile", absl::StatusCode::kOk);
    Sample();
  }
  EXPECT_THAT(history_.List(), SizeIs(3));
  EXPECT_EQ(history_.List().back().end, now_);
}

TEST_F(TrafficTest, TheLatestIntervalsCanBeTakenTogether) {
  Sample();
  Call("GetProfile", absl::StatusCode::kOk, absl::Milliseconds(2), 8);
  Sample();
  Sample();
  EXPECT_EQ(history_.Latest(1).all.calls, 0);
  EXPECT_EQ(history_.Latest(2).all.calls, 2);
  EXPECT_EQ(history_.Latest(100).all.calls, 2);
}

}  // namespace
}  // namespace userprofile::app
