#ifndef USERPROFILE_SERVER_STORE_OBSERVED_SESSIONS_H_
#define USERPROFILE_SERVER_STORE_OBSERVED_SESSIONS_H_

#include "ops/metrics.h"
#include "server/postgres/session.h"

namespace userprofile::store {

// Makes the same sessions as `connect`, counted, and each statement timed under
// its name. `metrics` must outlive them all. Thread-safe if `connect` is.
postgres::SessionFactory ObserveSessions(postgres::SessionFactory connect,
                                         ops::Metrics& metrics);

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_OBSERVED_SESSIONS_H_
