#include "ops/metrics.h"

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::ops {
namespace {

using ::testing::HasSubstr;

TEST(MetricsTest, ShowsWhatHandlesCount) {
  Metrics metrics;
  Counter(&metrics, "calls_total", "Calls.", {{"code", "OK"}}).Increment();
  const Gauge gauge(&metrics, "depth", "Depth.");
  gauge.Set(7);
  gauge.Add(-2);
  Histogram(&metrics, "wait_seconds", "Wait.").Observe(absl::Milliseconds(2));
  Histogram(&metrics, "size", "Size.", {}, {1, 10}).Observe(3);
  const std::string text = metrics.Text();
  for (const char* line : {
           "# HELP calls_total Calls.\n# TYPE calls_total counter\n"
           "calls_total{code=\"OK\"} 1\n",
           "depth 5\n",
           "wait_seconds_sum 0.002\n",
           "wait_seconds_bucket{le=\"0.001\"} 0\n",
           "wait_seconds_bucket{le=\"0.0025\"} 1\n",
           "size_bucket{le=\"1\"} 0\nsize_bucket{le=\"10\"} 1\n",
           "process_open_fds ",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricsTest, TheSameNameAndLabelsAreTheSameSeries) {
  Metrics metrics;
  const auto counter = [&](const char* lane) {
    return Counter(&metrics, "retries_total", "Retries.", {{"lane", lane}});
  };
  counter("read").Increment();
  counter("read").Increment();
  const Counter upsert = counter("upsert");
  EXPECT_THAT(metrics.Text(), HasSubstr("retries_total{lane=\"read\"} 2\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr("retries_total{lane=\"upsert\"} 0\n"));
}

TEST(MetricsTest, HandlesWithoutMetricsCountIntoNothing) {
  Counter(nullptr, "calls_total", "Calls.").Increment();
  Counter().Increment();
  Gauge(nullptr, "depth", "Depth.").Set(1);
  Gauge().Add(1);
  Histogram(nullptr, "size", "Size.").Observe(1.0);
  Histogram().Observe(absl::Seconds(1));
}

TEST(MetricsTest, LosesNoCountOfSeveralThreads) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        Counter(&metrics, "retries_total", "Retries.").Increment();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(metrics.Text(), HasSubstr("retries_total 4000"));
}

}  // namespace
}  // namespace userprofile::ops
