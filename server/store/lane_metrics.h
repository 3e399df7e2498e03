#ifndef USERPROFILE_SERVER_STORE_LANE_METRICS_H_
#define USERPROFILE_SERVER_STORE_LANE_METRICS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "ops/metrics.h"

namespace userprofile::store {

// What one lane counts; labelled lane="upsert_user". A lane runs one kind of
// statement, so that its name also tells statements apart. Without metrics it
// counts into nothing. Thread-safe.
class LaneMetrics {
 public:
  LaneMetrics() = default;
  LaneMetrics(ops::Metrics* metrics, const std::string& lane)
      : LaneMetrics(metrics, ops::Labels{{"lane", lane}}) {}

  // Requests that went into one statement together, by their weight.
  void ObserveBatch(std::size_t size) const {
    batch_size_.Observe(static_cast<double>(size));
  }
  // How long a request waited for its statement.
  void ObserveQueueWait(absl::Duration wait) const {
    queue_wait_.Observe(wait);
  }
  // How long a statement ran, failed ones included.
  void ObserveStatement(absl::Duration duration) const {
    statement_time_.Observe(duration);
  }
  // A batch was tried again, after an error or in halves.
  void CountRetry() const { retries_.Increment(); }
  // A request was dropped before SQL: past its deadline, or cancelled.
  void CountDropped() const { dropped_.Increment(); }
  // A request was refused, for the queue was full: shed load.
  void CountRefused() const { refused_.Increment(); }
  // Requests that wait now.
  void SetDepth(std::size_t requests) const {
    depth_.Set(static_cast<double>(requests));
  }

 private:
  LaneMetrics(ops::Metrics* metrics, const ops::Labels& labels)
      : batch_size_(metrics, "userprofile_lane_batch_size",
                    "Requests that went into one statement together.", labels,
                    {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}),
        queue_wait_(metrics, "userprofile_lane_queue_wait_seconds",
                    "Time that a request waited for its statement to begin.",
                    labels),
        statement_time_(
            metrics, "userprofile_lane_statement_duration_seconds",
            "Time that a batch took: its arrays, its statement, its rows.",
            labels),
        retries_(metrics, "userprofile_lane_retries_total",
                 "Batches that were tried again, after an error or in halves.",
                 labels),
        dropped_(
            metrics, "userprofile_lane_dropped_total",
            "Requests dropped before SQL: past their deadline, or cancelled.",
            labels),
        refused_(metrics, "userprofile_lane_refused_total",
                 "Requests refused because the queue was full: shed load.",
                 labels),
        depth_(metrics, "userprofile_lane_queue_depth",
               "Requests that wait now.", labels) {}

  ops::Histogram batch_size_;
  ops::Histogram queue_wait_;
  ops::Histogram statement_time_;
  ops::Counter retries_;
  ops::Counter dropped_;
  ops::Counter refused_;
  ops::Gauge depth_;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_LANE_METRICS_H_
