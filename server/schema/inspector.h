#ifndef USERPROFILE_SERVER_SCHEMA_INSPECTOR_H_
#define USERPROFILE_SERVER_SCHEMA_INSPECTOR_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// Compares the database with UsersContract(), as this session sees it: its
// search path, its role. Works for a role without any rights, and within a
// transaction. Reads a handful of pg_catalog rows, and no user.
//
// Beyond the contract's own words it asks for what makes them true: an ordinary
// table that survives a crash, all of whose rows this role sees and may read,
// insert and update; columns that can be written; no other column that would
// refuse a new user; no rule that would refuse writes, no trigger that could
// change them, no constraint that could refuse them; and that it is the table
// that was migrated.
//
// The rights are those of `role`, if one is given, else of the session's own.
// INVALID_ARGUMENT if there is no such role.
//
// An error means that nothing is known, never that something is wrong: see
// postgres::Session for the codes.
absl::StatusOr<Report> Inspect(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations = migrations::Embedded(),
    const std::string& role = "");

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_INSPECTOR_H_
