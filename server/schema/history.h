#ifndef USERPROFILE_SERVER_SCHEMA_HISTORY_H_
#define USERPROFILE_SERVER_SCHEMA_HISTORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"

namespace userprofile::schema {

// The history is the table userprofile_migrations in the schema of users (or
// where users will be created): one row for each migration that was applied,
// and never one for a migration that was only begun.

enum class MigrationState {
  kPending,
  kLate,     // pending, although a later one was applied: its file came after
  kApplied,  // or said to be so by `migrate baseline`
  kChanged,  // applied, but the file was another one then
  kUnknown,  // applied by a program that knows it; this one does not
};

// "pending", "applied", ...
const char* ToString(MigrationState state);

struct MigrationStatus {
  int version;
  std::string name;
  MigrationState state;

  // What the history says of an applied one; an older program wrote down only
  // the first.
  std::string applied_at = {};  // RFC 3339, UTC; empty while pending
  std::string started_at = {};
  absl::optional<std::int64_t> duration_ms = {};
  std::string role = {};          // of the database
  std::string tool_version = {};  // of the program that applied it
  bool baseline = false;
};

// "008_fix_users_table_schema"
std::string Label(int version, absl::string_view name);

// Whether Migrate has it to do.
bool IsToDo(MigrationState state);

// In a sentence: "008_fix_users_table_schema is pending".
std::string Explain(const MigrationStatus& status);

// What became of each of `migrations`, and unknown ones, by version. All are
// pending where there is no history. FAILED_PRECONDITION if this role may not
// read it.
absl::StatusOr<std::vector<MigrationStatus>> ReadMigrationStatus(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations =
        migrations::Embedded());

// Creates the history if there is none, and gives an older one the columns that
// it lacks; what reads and writes those goes on working. Needs no right but to
// read where nothing is to be done. Returns its name, quoted. Executes several
// statements: call it in a transaction.
absl::StatusOr<std::string> OpenHistory(postgres::Session& session);

// Records `migration` as applied by `tool_version`, begun `elapsed` ago, in the
// history of that name; false if it was recorded before. As a baseline also
// then, in the place of that.
absl::StatusOr<bool> RecordMigration(postgres::Session& session,
                                     const std::string& history,
                                     const migrations::Migration& migration,
                                     absl::Duration elapsed,
                                     const std::string& tool_version,
                                     bool baseline = false);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_HISTORY_H_
