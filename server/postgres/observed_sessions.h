#ifndef USERPROFILE_SERVER_POSTGRES_OBSERVED_SESSIONS_H_
#define USERPROFILE_SERVER_POSTGRES_OBSERVED_SESSIONS_H_

#include "ops/metrics.h"
#include "server/postgres/session.h"

namespace userprofile::postgres {

// Makes the same sessions as `connect`, counted, and each statement timed under
// its name. `metrics` must outlive them all. Thread-safe if `connect` is.
SessionFactory ObserveSessions(SessionFactory connect, ops::Metrics& metrics);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_OBSERVED_SESSIONS_H_
