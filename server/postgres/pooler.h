#ifndef USERPROFILE_SERVER_POSTGRES_POOLER_H_
#define USERPROFILE_SERVER_POSTGRES_POOLER_H_

#include <string>

#include "absl/status/status.h"
#include "server/postgres/session.h"

namespace userprofile::postgres {

// Finds out how a pooler treats sessions: POOLER_UNSUPPORTED if it gives their
// backends to others between transactions, as in PgBouncer's modes transaction
// and statement. `session` is one that a pooler stands behind, idle since its
// backend said that its process id is `pid`; `connect` makes a second one.
// Where that can't be made in time nothing is found: a pooler that keeps
// sessions whole may have no more of them.
absl::Status CheckPooler(Session& session, const std::string& pid,
                         const SessionFactory& connect);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_POOLER_H_
