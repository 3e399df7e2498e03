#include "server/app/traffic.h"

#include <algorithm>

namespace userprofile::app {
namespace {

// Those that are the service's to answer for.
bool IsFailure(absl::string_view code) {
  for (const char* failure :
       {"UNKNOWN", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED", "DATA_LOSS"}) {
    if (code == failure) return true;
  }
  return false;
}

// A counter may be newer than the begin of an interval.
template <typename Map>
typename Map::mapped_type Find(const Map& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? typename Map::mapped_type() : found->second;
}

}  // namespace

const std::vector<prometheus::ClientMetric>& MetricValues::Of(
    absl::string_view name) const {
  static const auto& none = *new std::vector<prometheus::ClientMetric>;
  for (const prometheus::MetricFamily& family : families_) {
    if (name == family.name) return family.metric;
  }
  return none;
}

double MetricValues::Sum(absl::string_view name, absl::string_view label,
                         absl::string_view value) const {
  double sum = 0;
  for (const prometheus::ClientMetric& series : Of(name)) {
    if (!label.empty() && Label(series, label) != value) continue;
    sum += series.counter.value + series.gauge.value;  // one of them is 0
  }
  return sum;
}

absl::string_view MetricValues::Label(const prometheus::ClientMetric& series,
                                      absl::string_view label) {
  for (const auto& pair : series.label) {
    if (label == pair.name) return pair.value;
  }
  return {};
}

void TrafficHistory::Sample(const MetricValues& metrics, absl::Time now,
                            base::SteadyTime steady_now) {
  Counts counts;
  counts.time = now;
  counts.steady_time = steady_now;
  for (const auto& series : metrics.Of("userprofile_rpc_requests_total")) {
    Calls& calls =
        counts.methods[std::string(MetricValues::Label(series, "method"))];
    calls.calls += series.counter.value;
    if (IsFailure(MetricValues::Label(series, "code"))) {
      calls.failed += series.counter.value;
    }
  }
  for (const auto& series : metrics.Of("userprofile_rpc_duration_seconds")) {
    Calls& calls =
        counts.methods[std::string(MetricValues::Label(series, "method"))];
    for (const auto& bucket : series.histogram.bucket) {
      calls.bounds.push_back(bucket.upper_bound);
      calls.at_most.push_back(bucket.cumulative_count);
    }
  }
  for (const auto& series : metrics.Of("userprofile_lane_batch_size")) {
    counts.lanes[std::string(MetricValues::Label(series, "lane"))] = {
        static_cast<double>(series.histogram.sample_count),
        series.histogram.sample_sum};
  }
  base::MutexLock lock(mutex_);
  counts_.push_back(std::move(counts));
  if (counts_.size() > capacity_ + 1) counts_.pop_front();
}

std::vector<Traffic> TrafficHistory::List() const {
  base::MutexLock lock(mutex_);
  std::vector<Traffic> list;
  for (std::size_t i = 1; i < counts_.size(); ++i) {
    list.push_back(Between(counts_[i - 1], counts_[i]));
  }
  return list;
}

Traffic TrafficHistory::Latest(std::size_t intervals) const {
  base::MutexLock lock(mutex_);
  if (counts_.size() < 2) return {};
  const std::size_t last = counts_.size() - 1;
  return Between(counts_[last - std::min(intervals, last)], counts_[last]);
}

Traffic TrafficHistory::Between(const Counts& begin, const Counts& end) {
  const double seconds = std::max(
      absl::ToDoubleSeconds(end.steady_time - begin.steady_time), 1e-3);
  Traffic traffic;
  traffic.end = end.time;
  Calls all_before;
  Calls all;
  const auto add = [](Calls& sum, const Calls& calls) {
    sum.calls += calls.calls;
    sum.failed += calls.failed;
    sum.bounds = calls.bounds;
    sum.at_most.resize(calls.at_most.size());
    for (std::size_t i = 0; i < calls.at_most.size(); ++i) {
      sum.at_most[i] += calls.at_most[i];
    }
  };
  for (const auto& [method, calls] : end.methods) {
    Calls before = Find(begin.methods, method);
    before.at_most.resize(calls.at_most.size());
    traffic.methods[method] = Between(before, calls, seconds);
    before.bounds = calls.bounds;
    add(all_before, before);
    add(all, calls);
  }
  traffic.all = Between(all_before, all, seconds);
  for (const auto& [lane, batches] : end.lanes) {
    const Batches before = Find(begin.lanes, lane);
    const double statements = batches.statements - before.statements;
    traffic.batch_size[lane] =
        statements > 0 ? absl::make_optional(
                             (batches.requests - before.requests) / statements)
                       : absl::nullopt;
  }
  return traffic;
}

CallTraffic TrafficHistory::Between(const Calls& begin, const Calls& end,
                                    double seconds) {
  return {(end.calls - begin.calls) / seconds,
          (end.failed - begin.failed) / seconds, Quantile(begin, end, 0.5),
          Quantile(begin, end, 0.99)};
}

absl::optional<absl::Duration> TrafficHistory::Quantile(const Calls& begin,
                                                        const Calls& end,
                                                        double q) {
  if (end.at_most.empty()) return absl::nullopt;
  const auto within = [&](std::size_t i) {
    return static_cast<double>(end.at_most[i] - begin.at_most[i]);
  };
  const double calls = within(end.at_most.size() - 1);
  if (calls <= 0) return absl::nullopt;
  // As if they were spread evenly between two bounds.
  std::size_t i = 0;
  while (within(i) < q * calls) ++i;
  const double lower = i == 0 ? 0 : end.bounds[i - 1];
  if (i + 1 == end.bounds.size()) return absl::Seconds(lower);  // no bound
  const double below = i == 0 ? 0 : within(i - 1);
  const double share = (q * calls - below) / (within(i) - below);
  return absl::Seconds(lower + share * (end.bounds[i] - lower));
}

}  // namespace userprofile::app
