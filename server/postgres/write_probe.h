#ifndef USERPROFILE_SERVER_POSTGRES_WRITE_PROBE_H_
#define USERPROFILE_SERVER_POSTGRES_WRITE_PROBE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/periodic_thread.h"
#include "base/steady_time.h"
#include "ops/readiness.h"
#include "server/postgres/session.h"

namespace userprofile::postgres {

struct WriteProbeOptions {
  // The pauses after a commit that went through, and after one that did not.
  absl::Duration interval = absl::Seconds(1);
  absl::Duration interval_while_failing = absl::Milliseconds(250);

  // How long none may go through before the service is not ready any more:
  // shorter outages are the clients' and the store's to ride out.
  absl::Duration grace = absl::Seconds(5);
};

// Whether writes go through, told to a Readiness: commits something of no
// meaning again and again (ConfirmPrimary), by a thread and a session of its
// own. Reads go on while nothing can be written: on a standby, on a primary
// that was made read-only, has lost its synchronous standby, or was replaced.
//   STARTING              until the first commit went through, or failed
//   OK                    as soon as one does
//   DATABASE_READ_ONLY    transactions are read-only
//   REPLICATION_STALLED   PostgreSQL says that a commit waits for a standby
//   ops::DatabaseState    of any other failure
// One that fails is told after the grace; at once if none ever went through.
// Each change is logged once.
//
// A commit that got no answer may go on waiting in a backend that nobody
// listens to any more. The probe then makes no other one, but looks whether
// that one still waits: so there is one such backend at most.
class WriteProbe {
 public:
  // Starts at once. `connect` makes sessions with an answer_timeout, shorter
  // than the grace. `readiness` must outlive the probe. At its end the probe
  // waits for what is under way, a connection or an answer.
  WriteProbe(SessionFactory connect, ops::Readiness* readiness,
             WriteProbeOptions options = {});

 private:
  // Of one connection, so that it can be told from a later one of its number.
  struct Backend {
    std::string pid;
    std::string start;
  };

  // Commits and tells; returns the pause to the next time.
  absl::Duration Run();

  // OK once something was committed.
  absl::Status Commit();

  // An error while the commit of that backend still waits.
  absl::Status LookAfter(const Backend& backend);

  void Tell(absl::Status state, const absl::Status& failure);

  const SessionFactory connect_;
  ops::Readiness* const readiness_;
  const WriteProbeOptions options_;

  // Only the thread uses these.
  std::unique_ptr<Session> session_;
  absl::optional<Backend> unanswered_;  // whose commit got no answer
  absl::optional<base::SteadyTime> failing_since_;
  absl::Status told_;

  base::PeriodicThread thread_;  // last: starts when all else is made
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_WRITE_PROBE_H_
