#include "server/ops/metrics.h"

#include <utility>
#include <vector>

#include "base/error_info.h"
#include "ops/process_metrics.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace userprofile::ops {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

// From below what an idle database answers in, to the longest deadline.
const std::vector<double> kSeconds = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

const std::vector<double> kBatchSizes = {1,  2,   4,   8,   16,  32,
                                         64, 128, 256, 512, 1024};

// The reasons of a Readiness, and none.
constexpr const char* kStates[] = {"READY", "STARTING", "SCHEMA_NOT_READY",
                                   "DATABASE_UNAVAILABLE", "SHUTTING_DOWN"};

}  // namespace

struct MetricFamilies {
  prometheus::Registry registry;

  Family<Counter>& AddCounter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Gauge>& AddGauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& AddHistogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(
        registry);
  }

  Family<Counter>& rpc_requests =
      AddCounter("userprofile_rpc_requests_total",
                 "Calls answered, by method and status code.");
  Family<Histogram>& rpc_latency =
      AddHistogram("userprofile_rpc_duration_seconds",
                   "Time from the arrival of a call to its answer, by method.");
  Family<Gauge>& rpc_in_flight = AddGauge("userprofile_rpc_in_flight",
                                          "Calls not answered yet, by method.");

  Family<Histogram>& batch_size =
      AddHistogram("userprofile_lane_batch_size",
                   "Requests that went into one statement together.");
  Family<Histogram>& queue_wait =
      AddHistogram("userprofile_lane_queue_wait_seconds",
                   "Time that a request waited for its statement to begin.");
  Family<Histogram>& statement_time = AddHistogram(
      "userprofile_lane_statement_duration_seconds",
      "Time that a batch took: its arrays, its statement, its rows.");
  Family<Counter>& retries =
      AddCounter("userprofile_lane_retries_total",
                 "Batches that were tried again, after an error or in halves.");
  Family<Counter>& dropped = AddCounter(
      "userprofile_lane_dropped_total",
      "Requests dropped before SQL: past their deadline, or cancelled.");
  Family<Counter>& refused =
      AddCounter("userprofile_lane_refused_total",
                 "Requests refused because the queue was full: shed load.");
  Family<Gauge>& depth =
      AddGauge("userprofile_lane_queue_depth", "Requests that wait now.");

  Family<Counter>& recognitions =
      AddCounter("userprofile_recognitions_total",
                 "Contacts answered, by what the user was recognized as.");
  Family<Counter>& onboardings = AddCounter(
      "userprofile_onboardings_total",
      "CompleteOnboarding calls answered with OK, by whether the user had "
      "completed it before.");

  Family<Gauge>& connections =
      AddGauge("userprofile_database_connections",
               "Connections to the database that are open now.");
  Family<Counter>& connections_made =
      AddCounter("userprofile_database_connections_made_total",
                 "Connections to the database that were made.");
  Family<Counter>& connections_lost =
      AddCounter("userprofile_database_connections_lost_total",
                 "Connections to the database that were lost while in use.");
  Family<Counter>& connect_failures =
      AddCounter("userprofile_database_connect_failures_total",
                 "Connections to the database that could not be made.");
  Family<Histogram>& database_time = AddHistogram(
      "userprofile_database_statement_duration_seconds",
      "Time from sending a statement to its last row, by the statement's "
      "name.");
  Family<Counter>& statement_failures =
      AddCounter("userprofile_database_statement_failures_total",
                 "Statements that failed, by the statement's name.");

  Family<Counter>& refused_callers = AddCounter(
      "userprofile_refused_callers_total",
      "Calls that were not let in, by the reason that they were told.");
  Family<Gauge>& certificate_expiry =
      AddGauge("userprofile_tls_certificate_expiry_timestamp_seconds",
               "Until when the server's certificate holds; 0 without TLS.");
  Family<Gauge>& ready =
      AddGauge("userprofile_ready",
               "Whether this process is ready to be sent requests.");
  Family<Gauge>& state = AddGauge(
      "userprofile_state",
      "1 for the state that the process is in: READY, or why it is not.");
  Family<Gauge>& schema_breaches = AddGauge(
      "userprofile_schema_breaches",
      "Breaches of the schema contract that are there now, by kind and "
      "severity: blocking ones stop serving, advisory ones cost speed.");
  Family<Gauge>& build_info = AddGauge("userprofile_build_info",
                                       "Always 1; says what this program is.");
};

void RpcMetrics::CountStarted() { in_flight_->Increment(); }

void RpcMetrics::CountFinished(absl::StatusCode code, absl::Duration latency) {
  auto index = static_cast<std::size_t>(code);
  if (index >= requests_.size()) {
    index = static_cast<std::size_t>(absl::StatusCode::kUnknown);
  }
  requests_[index]->Increment();
  latency_->Observe(absl::ToDoubleSeconds(latency));
  in_flight_->Decrement();
}

void LaneMetrics::ObserveBatch(std::size_t size) {
  batch_size_->Observe(static_cast<double>(size));
}
void LaneMetrics::ObserveQueueWait(absl::Duration wait) {
  queue_wait_->Observe(absl::ToDoubleSeconds(wait));
}
void LaneMetrics::ObserveStatement(absl::Duration duration) {
  statement_time_->Observe(absl::ToDoubleSeconds(duration));
}
void LaneMetrics::CountRetry() { retries_->Increment(); }
void LaneMetrics::CountDropped() { dropped_->Increment(); }
void LaneMetrics::CountRefused() { refused_->Increment(); }
void LaneMetrics::SetDepth(std::size_t requests) {
  depth_->Set(static_cast<double>(requests));
}

DatabaseMetrics::DatabaseMetrics(MetricFamilies& families)
    : families_(families),
      open_(&families.connections.Add({})),
      made_(&families.connections_made.Add({})),
      lost_(&families.connections_lost.Add({})),
      connect_failures_(&families.connect_failures.Add({})) {}

void DatabaseMetrics::CountOpened() {
  made_->Increment();
  open_->Increment();
}

void DatabaseMetrics::CountClosed(bool lost) {
  if (lost) lost_->Increment();
  open_->Decrement();
}

void DatabaseMetrics::CountConnectFailure() { connect_failures_->Increment(); }

void DatabaseMetrics::ObserveStatement(absl::string_view name,
                                       absl::Duration duration,
                                       absl::StatusCode code) {
  const Statement statement = StatementOf(name);
  statement.duration->Observe(absl::ToDoubleSeconds(duration));
  if (code != absl::StatusCode::kOk) statement.failures->Increment();
}

DatabaseMetrics::Statement DatabaseMetrics::StatementOf(
    absl::string_view name) {
  base::MutexLock lock(mutex_);
  const auto known = statements_.find(name);
  if (known != statements_.end()) return known->second;
  const prometheus::Labels labels = {{"statement", std::string(name)}};
  const Statement statement = {&families_.database_time.Add(labels, kSeconds),
                               &families_.statement_failures.Add(labels)};
  statements_.emplace(name, statement);
  return statement;
}

Metrics::Metrics(absl::string_view version)
    : families_(std::make_unique<MetricFamilies>()),
      database_(*families_),
      ready_(&families_->ready.Add({})) {
  // In the order of the enumeration.
  constexpr const char* kOutcomes[] = {"created", "returning", "onboarded"};
  for (std::size_t i = 0; i < recognitions_.size(); ++i) {
    recognitions_[i] =
        &families_->recognitions.Add({{"outcome", kOutcomes[i]}});
  }
  onboardings_ = {&families_->onboardings.Add({{"outcome", "completed"}}),
                  &families_->onboardings.Add({{"outcome", "repeated"}})};
  families_->certificate_expiry.Add({});
  // A counter that appears with its first event has no rate of it.
  for (const char* reason :
       {"CREDENTIALS_MISSING", "UNKNOWN_TOKEN", "UNKNOWN_CERTIFICATE",
        "ROLE_MISSING", "TOO_MANY_ATTEMPTS"}) {
    families_->refused_callers.Add({{"reason", reason}});
  }
  families_->build_info.Add({{"version", std::string(version)}}).Set(1);
}

Metrics::~Metrics() = default;

RpcMetrics& Metrics::Rpc(absl::string_view method) {
  base::MutexLock lock(mutex_);
  const auto [it, inserted] = rpcs_.try_emplace(std::string(method));
  RpcMetrics& rpc = it->second;
  if (!inserted) return rpc;
  const prometheus::Labels labels = {{"method", it->first}};
  for (std::size_t code = 0; code < rpc.requests_.size(); ++code) {
    prometheus::Labels with_code = labels;
    with_code["code"] =
        absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
    rpc.requests_[code] = &families_->rpc_requests.Add(with_code);
  }
  rpc.latency_ = &families_->rpc_latency.Add(labels, kSeconds);
  rpc.in_flight_ = &families_->rpc_in_flight.Add(labels);
  return rpc;
}

LaneMetrics& Metrics::Lane(absl::string_view lane) {
  base::MutexLock lock(mutex_);
  const auto [it, inserted] = lanes_.try_emplace(std::string(lane));
  LaneMetrics& metrics = it->second;
  if (!inserted) return metrics;
  const prometheus::Labels labels = {{"lane", it->first}};
  metrics.batch_size_ = &families_->batch_size.Add(labels, kBatchSizes);
  metrics.queue_wait_ = &families_->queue_wait.Add(labels, kSeconds);
  metrics.statement_time_ = &families_->statement_time.Add(labels, kSeconds);
  metrics.retries_ = &families_->retries.Add(labels);
  metrics.dropped_ = &families_->dropped.Add(labels);
  metrics.refused_ = &families_->refused.Add(labels);
  metrics.depth_ = &families_->depth.Add(labels);
  return metrics;
}

void Metrics::CountRecognition(Recognition recognition) {
  recognitions_[static_cast<std::size_t>(recognition)]->Increment();
}

void Metrics::CountOnboarding(bool repeated) {
  onboardings_[repeated ? 1 : 0]->Increment();
}

void Metrics::SetCertificateExpiry(absl::Time expires) {
  families_->certificate_expiry.Add({}).Set(
      static_cast<double>(absl::ToUnixSeconds(expires)));
}

void Metrics::CountRefusedCaller(absl::string_view reason) {
  families_->refused_callers.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::SetReadiness(const absl::Status& state) {
  const std::string name = state.ok() ? "READY" : base::ErrorReason(state);
  ready_->Set(state.ok() ? 1 : 0);
  for (const char* other : kStates) {
    families_->state.Add({{"state", other}}).Set(name == other ? 1 : 0);
  }
}

void Metrics::SetSchemaBreaches(const SchemaBreaches& breaches) {
  base::MutexLock lock(mutex_);
  for (auto& [what, count] : breaches_) count = 0;
  for (const auto& [what, count] : breaches) breaches_[what] = count;
  for (const auto& [what, count] : breaches_) {
    families_->schema_breaches
        .Add({{"severity", what.first}, {"kind", what.second}})
        .Set(count);
  }
}

std::vector<prometheus::MetricFamily> Metrics::Collect() const {
  std::vector<prometheus::MetricFamily> all = families_->registry.Collect();
  AppendProcessMetrics(all);
  return all;
}

std::string Metrics::Text() const {
  return prometheus::TextSerializer().Serialize(Collect());
}

}  // namespace userprofile::ops
