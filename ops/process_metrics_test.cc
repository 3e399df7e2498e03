#include "ops/process_metrics.h"

#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::ops {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Gt;
using ::testing::Lt;

std::map<std::string, double> Values() {
  std::vector<prometheus::MetricFamily> families;
  AppendProcessMetrics(families);
  std::map<std::string, double> values;
  for (const auto& family : families) {
    EXPECT_NE(family.help, "");
    values[family.name] = family.type == prometheus::MetricType::Counter
                              ? family.metric[0].counter.value
                              : family.metric[0].gauge.value;
  }
  return values;
}

TEST(ProcessMetricsTest, TellTheTruth) {
  auto values = Values();
  const double mebibyte = 1 << 20;
  EXPECT_THAT(values["process_resident_memory_bytes"],
              AllOf(Gt(mebibyte), Lt(4096 * mebibyte)));
  EXPECT_THAT(values["process_virtual_memory_bytes"],
              Ge(values["process_resident_memory_bytes"]));
  EXPECT_EQ(values["process_threads"], 1);
  EXPECT_THAT(values["process_open_fds"], Ge(3));
  EXPECT_THAT(values["process_max_fds"], Ge(values["process_open_fds"]));
  const double now = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  EXPECT_THAT(values["process_start_time_seconds"],
              AllOf(Gt(now - 600), Lt(now + 5)));
}

TEST(ProcessMetricsTest, SeeWhatTheProcessDoes) {
  const auto before = Values();
  const int fd = dup(0);
  while (Values()["process_cpu_seconds_total"] <
         before.at("process_cpu_seconds_total") + 0.02) {
  }
  EXPECT_EQ(Values()["process_open_fds"], before.at("process_open_fds") + 1);
  close(fd);
}

}  // namespace
}  // namespace userprofile::ops
