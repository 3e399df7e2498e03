#ifndef USERPROFILE_SERVER_SCHEMA_MIGRATOR_H_
#define USERPROFILE_SERVER_SCHEMA_MIGRATOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"
#include "server/schema/ddl.h"
#include "server/schema/obstacles.h"
#include "server/schema/repair.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// Reasons of this file's errors, beside SCHEMA_NOT_READY, kMigratorBusy and
// kMigrationRefused.
inline constexpr char kMigrationChanged[] = "MIGRATION_CHANGED";
inline constexpr char kMigrationLate[] = "MIGRATION_LATE";

struct MigrateOptions : DdlOptions {
  absl::Span<const migrations::Migration> migrations = migrations::Embedded();

  // What the history shall say of who applied a migration.
  std::string tool_version;

  // Whether to apply a migration although a later one was applied before.
  bool out_of_order = false;

  // Whether to make a new table, or take the one that there is, although others
  // look as if users were in them. Else that is refused: all would look new.
  bool new_table = false;
};

struct MigrateResult {
  std::vector<int> applied;  // the versions that this run applied or recorded
  Report report;             // no breach in it blocks; after Migrate, with
                             // what a write showed that was tried
};

// Applies the migrations that are pending, in order. One of SQL is recorded in
// its own transaction. Those that follow one another and say what the contract
// asks for are one run of the Repairer, and recorded together after it; what it
// can't do and only speed asks for is left out, with a warning. Before the last
// one is recorded, the schema must be as the contract asks; earlier ones need
// not lead there. What needs a person's decision is refused before the first,
// all of it at once. Safe to repeat, also after a kill at any point, and by
// several processes at once: one works, the others wait. Blocks for as long as
// it takes.
//
// `connect` must reach the server itself, or a pooler in session mode.
// Statement time-outs that its sessions have are lifted.
//
// Errors, beside those of postgres::Session:
//   UNAVAILABLE          SCHEMA_NOT_READY   all is applied, or would be, but
//                                           the schema is not as needed; the
//                                           last migration is not recorded, and
//                                           undone if it was a transaction
//   FAILED_PRECONDITION  MIGRATION_REFUSED  a person must decide something
//                                           first; the message says whether
//                                           anything was changed
//   FAILED_PRECONDITION  MIGRATION_CHANGED  a migration was applied from a file
//                                           with other contents; nothing done
//   FAILED_PRECONDITION  MIGRATION_LATE     a migration is pending although a
//                                           later one was applied; nothing done
//   DEADLINE_EXCEEDED    MIGRATOR_BUSY      another migrator did not finish
//   CANCELLED                               as options.give_up asks
absl::StatusOr<MigrateResult> Migrate(
    const postgres::SessionFactory& connect,
    const MigrateOptions& options = MigrateOptions());

// Adopts a database that something else brought where it is: records all
// migrations as applied, without running them, and takes the files of changed
// ones for what was run. Only if the schema is as the contract asks:
// UNAVAILABLE with the reason SCHEMA_NOT_READY, and nothing recorded, if it is
// not. Other errors are those of Migrate.
absl::StatusOr<MigrateResult> Baseline(
    const postgres::SessionFactory& connect,
    const MigrateOptions& options = MigrateOptions());

struct PlannedMigration {
  migrations::Migration migration;

  // What is to be done: its SQL, or what the Repairer says. Of those that
  // Migrate does together, the first one has it all.
  std::vector<RepairOutcome> outcomes;
};

struct MigrationPlan {
  std::vector<PlannedMigration> migrations;

  // What is odd about the history: Migrate may refuse to run because of it.
  std::vector<std::string> warnings;

  // Why Migrate would begin nothing, a line for each; empty if it would begin.
  std::string obstacles;

  // Whether Migrate would fail, as far as is known.
  bool is_refused = false;
};

// What Migrate would do to the table as it is: it is read, and nobody has to
// wait. Without a table it is made and forgotten again, in a transaction.
absl::StatusOr<MigrationPlan> PlanMigrations(
    const postgres::SessionFactory& connect,
    const MigrateOptions& options = MigrateOptions());

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_MIGRATOR_H_
