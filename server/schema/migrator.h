#ifndef USERPROFILE_SERVER_SCHEMA_MIGRATOR_H_
#define USERPROFILE_SERVER_SCHEMA_MIGRATOR_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"
#include "server/schema/ddl.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// Reasons of Migrate's errors, beside kSchemaNotReady and kMigratorBusy.
inline constexpr char kMigrationRefused[] = "MIGRATION_REFUSED";
inline constexpr char kMigrationChanged[] = "MIGRATION_CHANGED";

struct MigrateOptions : DdlOptions {
  absl::Span<const migrations::Migration> migrations = migrations::Embedded();
};

struct MigrateResult {
  std::vector<int> applied;  // the versions that this run applied
  Report report;             // no breach in it blocks
};

// Applies the migrations that are pending, in order, each in one transaction
// with its row of the history. Before the last one commits, the schema must be
// as the contract asks; earlier ones need not lead there. Safe to repeat, also
// after a kill at any point, and by several processes at once: one works, the
// others wait. Blocks for as long as it takes.
//
// `connect` must reach the server itself, or a pooler in session mode.
// Statement time-outs that its sessions have are lifted.
//
// Errors, beside those of postgres::Session:
//   UNAVAILABLE          SCHEMA_NOT_READY   all is applied, or would be, but
//                                           the schema is not as needed; the
//                                           last migration was undone
//   FAILED_PRECONDITION  MIGRATION_REFUSED  a person must decide something
//                                           first; the migration was undone
//   FAILED_PRECONDITION  MIGRATION_CHANGED  a migration was applied from a file
//                                           with other contents; nothing done
//   DEADLINE_EXCEEDED    MIGRATOR_BUSY      another migrator did not finish
//   CANCELLED                               as options.give_up asked
absl::StatusOr<MigrateResult> Migrate(const postgres::SessionFactory& connect,
                                      const MigrateOptions& options = {});

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_MIGRATOR_H_
