#ifndef USERPROFILE_OPS_METRICS_H_
#define USERPROFILE_OPS_METRICS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
struct MetricFamily;
}  // namespace prometheus

namespace userprofile::ops {

// All metrics of a process, counted by the handles below; what they came to is
// read as prometheus-cpp has it. Any number of objects may exist side by side.
// Thread-safe.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Everything that handles have counted, and what Linux knows of the process;
  // and the same in Prometheus' text format, version 0.0.4.
  std::vector<prometheus::MetricFamily> Collect() const;
  std::string Text() const;

 private:
  friend class Counter;
  friend class Gauge;
  friend class Histogram;

  const std::unique_ptr<prometheus::Registry> registry_;
};

using Labels = std::map<std::string, std::string>;

// Handles, each of one series of a metric, which is declared by making one,
// where it is counted; the same name and labels are the same series. A counter
// that appears with its first event has no rate of it: make the handle early.
//
// Cheap to copy, not to make; thread-safe. `metrics` must outlive its handles.
// Without one a handle counts into nothing.
class Counter {
 public:
  Counter() = default;
  Counter(Metrics* metrics, const char* name, const char* help,
          const Labels& labels = {});

  void Increment() const;

 private:
  prometheus::Counter* counter_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  Gauge(Metrics* metrics, const char* name, const char* help,
        const Labels& labels = {});

  void Set(double value) const;
  void Add(double difference) const;

 private:
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  // For times: from below what an idle database answers in, to the longest
  // deadline.
  static const std::vector<double> kSeconds;

  Histogram() = default;
  Histogram(Metrics* metrics, const char* name, const char* help,
            const Labels& labels = {},
            const std::vector<double>& bounds = kSeconds);

  void Observe(double value) const;
  void Observe(absl::Duration duration) const {
    Observe(absl::ToDoubleSeconds(duration));
  }

 private:
  prometheus::Histogram* histogram_ = nullptr;
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_METRICS_H_
