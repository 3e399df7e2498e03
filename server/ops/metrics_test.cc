#include "server/ops/metrics.h"

#include <thread>
#include <vector>

#include "base/error_info.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::ops {
namespace {

using ::testing::HasSubstr;

TEST(MetricsTest, CountsCallsByMethodAndCode) {
  Metrics metrics;
  RpcMetrics& rpc = metrics.Rpc("GetProfile");
  rpc.CountStarted();
  rpc.CountStarted();
  rpc.CountFinished(absl::StatusCode::kNotFound, absl::Milliseconds(2));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("userprofile_rpc_requests_total{code=\"NOT_FOUND"
                              "\",method=\"GetProfile\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("userprofile_rpc_requests_total{code=\"OK\","
                              "method=\"GetProfile\"} 0\n"));
  EXPECT_THAT(
      text, HasSubstr("userprofile_rpc_in_flight{method=\"GetProfile\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("userprofile_rpc_duration_seconds_bucket{method="
                              "\"GetProfile\",le=\"0.0025\"} 1\n"));
}

TEST(MetricsTest, CountsACodeThatDoesNotExistAsUnknown) {
  Metrics metrics;
  metrics.Rpc("GetProfile").CountStarted();
  metrics.Rpc("GetProfile")
      .CountFinished(static_cast<absl::StatusCode>(99), absl::ZeroDuration());
  EXPECT_THAT(metrics.Text(),
              HasSubstr("{code=\"UNKNOWN\",method=\"GetProfile\"} 1\n"));
}

TEST(MetricsTest, ShowsWhatALaneDoes) {
  Metrics metrics;
  LaneMetrics& lane = metrics.Lane("upsert");
  lane.ObserveBatch(3);
  lane.ObserveQueueWait(absl::Microseconds(200));
  lane.ObserveStatement(absl::Milliseconds(500));
  lane.CountRetry();
  lane.CountDropped();
  lane.CountRefused();
  lane.SetDepth(7);
  const std::string text = metrics.Text();
  for (const char* line : {
           "userprofile_lane_batch_size_sum{lane=\"upsert\"} 3\n",
           "userprofile_lane_queue_wait_seconds_sum{lane=\"upsert\"} 0.0002\n",
           "userprofile_lane_statement_duration_seconds_sum{lane=\"upsert\"} "
           "0.5\n",
           "userprofile_lane_retries_total{lane=\"upsert\"} 1\n",
           "userprofile_lane_dropped_total{lane=\"upsert\"} 1\n",
           "userprofile_lane_refused_total{lane=\"upsert\"} 1\n",
           "userprofile_lane_queue_depth{lane=\"upsert\"} 7\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricsTest, AHandleIsTheSameEachTimeItIsAskedFor) {
  Metrics metrics;
  EXPECT_EQ(&metrics.Lane("read"), &metrics.Lane("read"));
  EXPECT_NE(&metrics.Lane("read"), &metrics.Lane("upsert"));
  EXPECT_EQ(&metrics.Rpc("GetProfile"), &metrics.Rpc("GetProfile"));
}

TEST(MetricsTest, ShowsTheProcess) {
  Metrics metrics("1.2.3");
  metrics.CountRecognition(Recognition::kReturning);
  metrics.CountRecognition(Recognition::kReturning);
  metrics.CountOnboarding(/*repeated=*/true);
  metrics.SetReadiness(absl::OkStatus());
  metrics.SetSchemaBreaches({{{"blocking", "column_missing"}, 2},
                             {{"advisory", "index_missing"}, 1}});
  const std::string text = metrics.Text();
  for (const char* line : {
           "userprofile_recognitions_total{outcome=\"created\"} 0\n",
           "userprofile_recognitions_total{outcome=\"returning\"} 2\n",
           "userprofile_onboardings_total{outcome=\"completed\"} 0\n",
           "userprofile_onboardings_total{outcome=\"repeated\"} 1\n",
           "userprofile_ready 1\n",
           "userprofile_state{state=\"READY\"} 1\n",
           "userprofile_state{state=\"STARTING\"} 0\n",
           "userprofile_schema_breaches{kind=\"column_missing\",severity="
           "\"blocking\"} 2\n",
           "userprofile_schema_breaches{kind=\"index_missing\",severity="
           "\"advisory\"} 1\n",
           "userprofile_build_info{version=\"1.2.3\"} 1\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricsTest, SaysWhyItIsNotReady) {
  Metrics metrics;
  metrics.SetReadiness(absl::OkStatus());
  metrics.SetReadiness(base::MakeError(absl::StatusCode::kUnavailable, "away",
                                       "DATABASE_UNAVAILABLE"));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("userprofile_ready 0\n"));
  EXPECT_THAT(text, HasSubstr("userprofile_state{state=\"READY\"} 0\n"));
  EXPECT_THAT(
      text, HasSubstr("userprofile_state{state=\"DATABASE_UNAVAILABLE\"} 1\n"));
}

TEST(MetricsTest, ABreachThatIsMendedIsCountedNoMore) {
  Metrics metrics;
  metrics.SetSchemaBreaches({{{"blocking", "column_missing"}, 2}});
  metrics.SetSchemaBreaches({});
  EXPECT_THAT(metrics.Text(),
              HasSubstr("{kind=\"column_missing\",severity=\"blocking\"} 0\n"));
}

TEST(MetricsTest, ShowsTheConnectionsToTheDatabase) {
  Metrics metrics;
  DatabaseMetrics& database = metrics.Database();
  for (int i = 0; i < 3; ++i) database.CountOpened();
  database.CountClosed(/*lost=*/false);
  database.CountClosed(/*lost=*/true);
  database.CountConnectFailure();
  database.ObserveStatement("get_profiles", absl::Milliseconds(500),
                            absl::StatusCode::kOk);
  database.ObserveStatement("get_profiles", absl::Milliseconds(500),
                            absl::StatusCode::kUnavailable);
  const std::string text = metrics.Text();
  for (const char* line : {
           "userprofile_database_connections 1\n",
           "userprofile_database_connections_made_total 3\n",
           "userprofile_database_connections_lost_total 1\n",
           "userprofile_database_connect_failures_total 1\n",
           "userprofile_database_statement_duration_seconds_sum{statement="
           "\"get_profiles\"} 1\n",
           "userprofile_database_statement_failures_total{statement="
           "\"get_profiles\"} 1\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricsTest, LosesNoCountOfSeveralThreads) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) metrics.Lane("read").CountRetry();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(metrics.Text(),
              HasSubstr("userprofile_lane_retries_total{lane=\"read\"} 4000"));
}

}  // namespace
}  // namespace userprofile::ops
