#include "ops/metrics.h"

#include "ops/process_metrics.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace userprofile::ops {

const std::vector<double> Histogram::kSeconds = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

Metrics::Metrics() : registry_(std::make_unique<prometheus::Registry>()) {}

Metrics::~Metrics() = default;

std::vector<prometheus::MetricFamily> Metrics::Collect() const {
  std::vector<prometheus::MetricFamily> all = registry_->Collect();
  AppendProcessMetrics(all);
  return all;
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(Collect());
}

// The registry returns the family and the series that there are.

Counter::Counter(Metrics* metrics, const char* name, const char* help,
                 const Labels& labels) {
  if (metrics == nullptr) return;
  counter_ = &prometheus::BuildCounter()
                  .Name(name)
                  .Help(help)
                  .Register(*metrics->registry_)
                  .Add(labels);
}

void Counter::Increment() const {
  if (counter_ != nullptr) counter_->Increment();
}

Gauge::Gauge(Metrics* metrics, const char* name, const char* help,
             const Labels& labels) {
  if (metrics == nullptr) return;
  gauge_ = &prometheus::BuildGauge()
                .Name(name)
                .Help(help)
                .Register(*metrics->registry_)
                .Add(labels);
}

void Gauge::Set(double value) const {
  if (gauge_ != nullptr) gauge_->Set(value);
}

void Gauge::Add(double difference) const {
  if (gauge_ != nullptr) gauge_->Increment(difference);
}

Histogram::Histogram(Metrics* metrics, const char* name, const char* help,
                     const Labels& labels, const std::vector<double>& bounds) {
  if (metrics == nullptr) return;
  histogram_ = &prometheus::BuildHistogram()
                    .Name(name)
                    .Help(help)
                    .Register(*metrics->registry_)
                    .Add(labels, bounds);
}

void Histogram::Observe(double value) const {
  if (histogram_ != nullptr) histogram_->Observe(value);
}

}  // namespace userprofile::ops
