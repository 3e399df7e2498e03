#include "server/store/lane_metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::store {
namespace {

TEST(LaneMetricsTest, ShowWhatALaneDoes) {
  ops::Metrics metrics;
  const LaneMetrics lane(&metrics, "upsert");
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
    EXPECT_THAT(text, ::testing::HasSubstr(line));
  }
}

}  // namespace
}  // namespace userprofile::store
