#ifndef USERPROFILE_SERVER_SCHEMA_INSPECTOR_H_
#define USERPROFILE_SERVER_SCHEMA_INSPECTOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"
#include "server/schema/catalog.h"
#include "server/schema/contract.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// Reads the catalog as this session sees it and compares it with the contract.
// The rights are those of `role`, if one is given, else of the session's own.
//
// An error means that nothing is known, never that something is wrong: see
// ReadCatalog.
absl::StatusOr<Report> Inspect(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations = migrations::Embedded(),
    const std::string& role = "");

// The comparison alone, which asks nobody.
//
// Beyond the contract's own words it asks for what makes them true: an ordinary
// table that survives a crash, all of whose rows the role sees and may read,
// insert and update; columns that can be written; no other column that would
// refuse a new user; nothing that others hung on the table and that can refuse
// or change what is written; and that it is the table that was migrated.
Report Judge(const Catalog& catalog,
             const Contract& contract = UsersContract());

// Of that, what others hung on the table beside its columns and its key, and
// what holds it: a breach for each kind, with the names of all of that kind.
// Not told is what only others' rows or statements can show: an AFTER trigger
// that raises an error, a CHECK of columns that are others'.
std::vector<Breach> JudgeOthers(const Catalog& catalog,
                                const Contract& contract);

// Of a table that belongs to `catalog.doubtful_owner`.
Breach JudgeOwner(const Catalog& catalog);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_INSPECTOR_H_
