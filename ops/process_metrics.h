#ifndef USERPROFILE_OPS_PROCESS_METRICS_H_
#define USERPROFILE_OPS_PROCESS_METRICS_H_

#include <vector>

#include "prometheus/metric_family.h"

namespace userprofile::ops {

// Appends what Linux knows of this process, under the names that Prometheus'
// own libraries use: process_cpu_seconds_total, process_resident_memory_bytes,
// process_virtual_memory_bytes, process_open_fds, process_max_fds,
// process_threads and process_start_time_seconds. What can't be read is left
// out. Thread-safe; takes some ten microseconds.
void AppendProcessMetrics(std::vector<prometheus::MetricFamily>& families);

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_PROCESS_METRICS_H_
