#ifndef USERPROFILE_SERVER_SCHEMA_HISTORY_H_
#define USERPROFILE_SERVER_SCHEMA_HISTORY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"

namespace userprofile::schema {

// The history is the table userprofile_migrations beside users: one row for
// each migration that was applied, written in the migration's own transaction.

enum class MigrationState {
  kPending,
  kApplied,
  kChanged,  // applied, but the file was another one then
  kUnknown,  // applied by a version of this program that knows more
};

// "pending", "applied", ...
const char* ToString(MigrationState state);

struct MigrationStatus {
  int version;
  std::string name;
  MigrationState state;
  std::string applied_at;  // RFC 3339, UTC; empty while pending
};

// "008_fix_users_table_schema"
std::string Label(int version, absl::string_view name);

// What became of each of `migrations`, and unknown ones, by version. All are
// pending where there is no history. FAILED_PRECONDITION if this role may not
// read it.
absl::StatusOr<std::vector<MigrationStatus>> ReadMigrationStatus(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations =
        migrations::Embedded());

// Creates the history if there is none: in the schema of users, or where users
// will be created.
absl::Status CreateHistory(postgres::Session& session);

// Records `migration` as applied; false if it was already. Waits for another
// transaction that is recording it.
absl::StatusOr<bool> RecordMigration(postgres::Session& session,
                                     const migrations::Migration& migration);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_HISTORY_H_
