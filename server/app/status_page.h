#ifndef USERPROFILE_SERVER_APP_STATUS_PAGE_H_
#define USERPROFILE_SERVER_APP_STATUS_PAGE_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/periodic_thread.h"
#include "ops/admin_server.h"
#include "ops/metrics.h"
#include "ops/readiness.h"
#include "server/api/request_log.h"
#include "server/app/traffic.h"

namespace userprofile::app {

// The page of the admin port for people who would rather look than read, and
// the JSON that it shows. The page is one document without resources of others;
// nothing in it is of a user. Looks at the traffic every two seconds, by a
// thread of its own, so that the last five minutes are there at once.
// Thread-safe.
class StatusPage {
 public:
  // All must outlive the page.
  StatusPage(std::string version, const ops::Metrics& metrics,
             const ops::Readiness& readiness,
             const api::RecentFailures& failures);

  // What the last inspection of the schema found: an object of JSON with the
  // members "holds" and "breaches", as `schema check --output json` prints it.
  void SetSchema(std::string json);

  // "/" and "/status.json"; to be used as long as this lives.
  std::vector<ops::AdminPage> Pages() const;

  // The JSON; status.js says what is in it.
  std::string Json() const;

 private:
  const std::string version_;
  const ops::Metrics& metrics_;
  const ops::Readiness& readiness_;
  const api::RecentFailures& failures_;
  const absl::Time started_;
  TrafficHistory history_;

  mutable base::Mutex mutex_;
  std::string schema_ ABSL_GUARDED_BY(mutex_) = "null";
  base::PeriodicThread thread_;  // last: starts when all else is made
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_STATUS_PAGE_H_
