#ifndef USERPROFILE_SERVER_SCHEMA_MONITOR_H_
#define USERPROFILE_SERVER_SCHEMA_MONITOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/periodic_thread.h"
#include "base/steady_time.h"
#include "ops/readiness.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

namespace userprofile::schema {

struct MonitorOptions {
  // The pause between two inspections; after one that failed, half a second at
  // most.
  absl::Duration interval = absl::Seconds(2);

  // How long inspections may fail before a service that was ready is so no
  // more: shorter outages are the clients' and the store's to ride out.
  absl::Duration unreachable_grace = absl::Seconds(5);

  // The longest that CheckNow blocks.
  absl::Duration check_timeout = absl::Seconds(3);

  // Measures the grace.
  base::SteadyClock clock = &base::SteadyTime::Now;

  // Called after each inspection that got an answer, by the monitor's thread;
  // for metrics. Must not block.
  std::function<void(const Report&)> on_report;
};

// Inspects the schema again and again, by a thread and a session of its own,
// and reports to a Readiness:
//   OK                    nothing blocks, advisory breaches notwithstanding
//   SCHEMA_NOT_READY      at once, and until an inspection finds it mended; of
//                         an inspection that is refused, as below
//   DATABASE_UNAVAILABLE, or what the session says of the database instead
//   (ops::DatabaseState)  no inspection got an answer, or others hold the
//                         table: at once if none ever did, after the grace if
//                         the service was in another state before
// Logs every change once, and, of the first inspection in which nothing blocks,
// what a write shows that is tried (write_trial.h). Thread-safe.
class Monitor {
 public:
  // Starts at once. `readiness` must outlive the monitor.
  Monitor(postgres::SessionFactory connect, ops::Readiness* readiness,
          MonitorOptions options = {});

  // Waits for an inspection that begins after this call, and returns its
  // outcome: OK, SCHEMA_NOT_READY, or DATABASE_UNAVAILABLE without any grace.
  // Calls at the same time share one inspection. The Readiness knows the
  // outcome by then.
  absl::Status CheckNow();

  // Ends the thread; does not wait for the interval, but perhaps for an
  // inspection or a connection that is under way. Further calls do nothing.
  void Stop();

 private:
  // Inspects, and returns the pause to the next inspection.
  absl::Duration Run();

  // One inspection, on a fresh session if the last one fails.
  absl::StatusOr<Report> InspectOnce();

  // Each tells the Readiness and the log, and returns the outcome as CheckNow
  // does. `begun`: when the inspection that failed did.
  absl::Status PublishReport(const Report& report);
  absl::Status PublishFailure(const absl::Status& failure,
                              base::SteadyTime begun);

  const postgres::SessionFactory connect_;
  ops::Readiness* const readiness_;
  const MonitorOptions options_;

  // Only the thread uses these.
  std::unique_ptr<postgres::Session> session_;
  bool answered_ = false;  // an inspection has got an answer, ever
  bool tried_ = false;     // to write
  absl::optional<base::SteadyTime> failing_since_;
  std::string logged_;  // the last change that was logged

  base::Mutex mutex_;
  base::CondVar changed_;
  std::int64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;  // inspections
  std::int64_t finished_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status outcome_ ABSL_GUARDED_BY(mutex_);  // of the last finished one

  base::PeriodicThread thread_;  // last: starts when all else is made
};

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_MONITOR_H_
