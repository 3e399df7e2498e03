#ifndef USERPROFILE_SERVER_OPS_METRIC_VALUES_H_
#define USERPROFILE_SERVER_OPS_METRIC_VALUES_H_

#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "prometheus/metric_family.h"

namespace userprofile::ops {

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

}  // namespace userprofile::ops

#endif  // USERPROFILE_SERVER_OPS_METRIC_VALUES_H_
