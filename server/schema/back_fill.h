#ifndef USERPROFILE_SERVER_SCHEMA_BACK_FILL_H_
#define USERPROFILE_SERVER_SCHEMA_BACK_FILL_H_

#include "absl/status/status.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"
#include "server/schema/ddl.h"

namespace userprofile::schema {

// Runs a migration of the kind kBatches for all users that are there when their
// turn comes, by ascending user_id, and rests after each batch for as long as
// it took. Logs every few seconds how far it is. Keeps no position: a run after
// a kill looks at all of them again, and writes what is left.
absl::Status BackFill(postgres::Session& session,
                      const migrations::Migration& migration,
                      const DdlOptions& options, int batch_rows = 1000);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_BACK_FILL_H_
