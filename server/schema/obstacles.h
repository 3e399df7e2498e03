#ifndef USERPROFILE_SERVER_SCHEMA_OBSTACLES_H_
#define USERPROFILE_SERVER_SCHEMA_OBSTACLES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// Reason of CheckOwner's error, and of other refusals to migrate.
inline constexpr char kMigrationRefused[] = "MIGRATION_REFUSED";

// FAILED_PRECONDITION if the table belongs to somebody whom nothing shows to be
// trusted: whoever may create in the schema could have made it before the first
// migration, to own what all users are stored in, and to have what hangs on it
// run. To be asked before anything is done to the table or read from it, by all
// that migrates, mends or restores. No error where there is no table.
absl::Status CheckOwner(postgres::Session& session);

// What no migration can mend, for a person must decide: said before anything is
// changed. Empty if nothing stands in the way; else a line for each obstacle,
// with what to do about it. With `new_table`, users that may be in another
// table are none. Reads all users where the key or a constraint leaves no other
// way, which can take long: call it where no statement time-out holds.
absl::StatusOr<std::string> FindObstacles(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations, bool new_table);

// What PostgreSQL never alters a column's type under, of those of `objects`
// whose type must change: a line for each, with what to do about it.
absl::StatusOr<std::vector<std::string>> FindWhatKeepsTypes(
    postgres::Session& session, const Report& report,
    const std::vector<std::string>& objects);

// In a person's words, what to do about a statement that PostgreSQL refused
// with `failure` (IsOfTable or IsForLock), and that was to mend `objects`. Asks
// `session`, which must be outside the failed transaction.
std::string ExplainRefusal(postgres::Session& session,
                           const std::vector<std::string>& objects,
                           const absl::Status& failure);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_OBSTACLES_H_
