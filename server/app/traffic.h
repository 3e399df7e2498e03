#ifndef USERPROFILE_SERVER_APP_TRAFFIC_H_
#define USERPROFILE_SERVER_APP_TRAFFIC_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "prometheus/metric_family.h"

namespace userprofile::app {

// All metrics as they were at one moment.
class MetricValues {
 public:
  explicit MetricValues(std::vector<prometheus::MetricFamily> families)
      : families_(std::move(families)) {}

  // The series of a metric; none if it is not there.
  const std::vector<prometheus::ClientMetric>& Of(absl::string_view name) const;

  // The sum of a counter or gauge over the series whose `label` has `value`;
  // over all of them if `label` is empty.
  double Sum(absl::string_view name, absl::string_view label = "",
             absl::string_view value = "") const;

  // The value of a label; empty if there is none.
  static absl::string_view Label(const prometheus::ClientMetric& series,
                                 absl::string_view label);

 private:
  const std::vector<prometheus::MetricFamily> families_;
};

// The calls of a method, or of all, in an interval.
struct CallTraffic {
  double calls = 0;   // answered per second
  double failed = 0;  // those of them that failed by no fault of the caller's

  // Of the time from arrival to answer; none if there were no calls.
  absl::optional<absl::Duration> p50;
  absl::optional<absl::Duration> p99;
};

// What went on in an interval.
struct Traffic {
  absl::Time end;
  CallTraffic all;
  std::map<std::string, CallTraffic> methods;

  // The mean of the requests that shared a statement, by lane.
  std::map<std::string, absl::optional<double>> batch_size;
};

// The traffic of the last intervals, out of what the metrics count.
// Thread-safe.
class TrafficHistory {
 public:
  // Remembers this many intervals.
  explicit TrafficHistory(std::size_t capacity) : capacity_(capacity) {}

  // Ends an interval, and begins the next one: now by the clock that is shown,
  // and by the one that measures.
  void Sample(const MetricValues& metrics, absl::Time now,
              base::SteadyTime steady_now);

  // The intervals, the oldest first.
  std::vector<Traffic> List() const;

  // The last `intervals` taken together; without an end if there was none.
  Traffic Latest(std::size_t intervals) const;

 private:
  // What was counted from the start on.
  struct Calls {
    double calls = 0;
    double failed = 0;
    std::vector<double> bounds;          // of latency, in seconds
    std::vector<std::uint64_t> at_most;  // calls within each bound
  };
  struct Batches {
    double statements = 0;
    double requests = 0;
  };
  struct Counts {
    absl::Time time;
    base::SteadyTime steady_time;
    std::map<std::string, Calls> methods;
    std::map<std::string, Batches> lanes;
  };

  static Traffic Between(const Counts& begin, const Counts& end);
  static CallTraffic Between(const Calls& begin, const Calls& end,
                             double seconds);
  static absl::optional<absl::Duration> Quantile(const Calls& begin,
                                                 const Calls& end, double q);

  const std::size_t capacity_;
  mutable base::Mutex mutex_;
  std::deque<Counts> counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_TRAFFIC_H_
