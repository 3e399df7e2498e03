#include "server/ops/metric_values.h"

namespace userprofile::ops {

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

}  // namespace userprofile::ops
