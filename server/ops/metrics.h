#ifndef USERPROFILE_SERVER_OPS_METRICS_H_
#define USERPROFILE_SERVER_OPS_METRICS_H_

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
struct MetricFamily;
}  // namespace prometheus

namespace userprofile::ops {

struct MetricFamilies;

// What one RPC method counts; labelled method="UpsertUser". Thread-safe.
class RpcMetrics {
 public:
  // A call began. Each call that began must end once.
  void CountStarted();

  // It was answered with this code, after this time.
  void CountFinished(absl::StatusCode code, absl::Duration latency);

 private:
  friend class Metrics;
  std::array<prometheus::Counter*, 17> requests_{};  // by status code
  prometheus::Histogram* latency_ = nullptr;
  prometheus::Gauge* in_flight_ = nullptr;
};

// What one lane of the store counts; labelled lane="upsert". A lane runs one
// kind of statement, so that its name also tells statements apart. Thread-safe.
class LaneMetrics {
 public:
  // Requests that went into one statement together.
  void ObserveBatch(std::size_t size);
  // How long a request waited for its statement.
  void ObserveQueueWait(absl::Duration wait);
  // How long a statement ran, failed ones included.
  void ObserveStatement(absl::Duration duration);
  // A batch was tried again, after an error or in halves.
  void CountRetry();
  // A request was dropped before SQL: past its deadline, or cancelled.
  void CountDropped();
  // A request was refused, for the queue was full: shed load.
  void CountRefused();
  // Requests that wait now.
  void SetDepth(std::size_t requests);

 private:
  friend class Metrics;
  prometheus::Histogram* batch_size_ = nullptr;
  prometheus::Histogram* queue_wait_ = nullptr;
  prometheus::Histogram* statement_time_ = nullptr;
  prometheus::Counter* retries_ = nullptr;
  prometheus::Counter* dropped_ = nullptr;
  prometheus::Counter* refused_ = nullptr;
  prometheus::Gauge* depth_ = nullptr;
};

// What the connections to the database count, all of the process together.
// Thread-safe.
class DatabaseMetrics {
 public:
  // A connection was made, and closed, in order or because it was lost.
  void CountOpened();
  void CountClosed(bool lost);
  // One could not be made.
  void CountConnectFailure();
  // How long the statement of that name ran, and how it ended.
  void ObserveStatement(absl::string_view name, absl::Duration duration,
                        absl::StatusCode code);

 private:
  friend class Metrics;
  struct Statement {
    prometheus::Histogram* duration;
    prometheus::Counter* failures;
  };
  explicit DatabaseMetrics(MetricFamilies& families);
  Statement StatementOf(absl::string_view name);

  MetricFamilies& families_;
  prometheus::Gauge* const open_;
  prometheus::Counter* const made_;
  prometheus::Counter* const lost_;
  prometheus::Counter* const connect_failures_;
  base::Mutex mutex_;
  std::map<std::string, Statement, std::less<>> statements_
      ABSL_GUARDED_BY(mutex_);
};

// What an answer to UpsertUser says of the user.
enum class Recognition {
  kCreated,    // never seen before
  kReturning,  // known, onboarding not completed
  kOnboarded,  // known, onboarding completed
};

// How many breaches of the schema contract there are, by severity ("blocking":
// they stop serving; "advisory": they cost speed) and kind.
using SchemaBreaches = std::map<std::pair<std::string, std::string>, int>;

// All metrics of a process: prometheus-cpp behind names that are ours. Its
// handles live as long as it does; look them up once, not per call. Any number
// of objects may exist side by side. Thread-safe.
class Metrics {
 public:
  explicit Metrics(absl::string_view version = "unknown");
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The handle of that name; the same one each time.
  RpcMetrics& Rpc(absl::string_view method);
  LaneMetrics& Lane(absl::string_view lane);
  DatabaseMetrics& Database() { return database_; }

  void CountRecognition(Recognition recognition);

  // CompleteOnboarding was answered with OK; `repeated` if it had been
  // completed before.
  void CountOnboarding(bool repeated);

  // Until when the server's certificate holds.
  void SetCertificateExpiry(absl::Time expires);

  // A call was not let in, for this reason (a reason of ErrorInfo).
  void CountRefusedCaller(absl::string_view reason);

  // The state of a Readiness.
  void SetReadiness(const absl::Status& state);

  // Those that are there now; what is not named any more becomes 0.
  void SetSchemaBreaches(const SchemaBreaches& breaches);

  // Everything; and the same in Prometheus' text format, version 0.0.4.
  std::vector<prometheus::MetricFamily> Collect() const;
  std::string Text() const;

 private:
  const std::unique_ptr<MetricFamilies> families_;
  DatabaseMetrics database_;
  std::array<prometheus::Counter*, 3> recognitions_{};
  std::array<prometheus::Counter*, 2> onboardings_{};
  prometheus::Gauge* const ready_;

  base::Mutex mutex_;
  std::map<std::string, RpcMetrics, std::less<>> rpcs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, LaneMetrics, std::less<>> lanes_
      ABSL_GUARDED_BY(mutex_);
  SchemaBreaches breaches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_SERVER_OPS_METRICS_H_
