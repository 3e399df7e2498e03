#ifndef USERPROFILE_SERVER_SCHEMA_MEDDLERS_H_
#define USERPROFILE_SERVER_SCHEMA_MEDDLERS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// What others hung on the table, beside its columns and its key, that can
// refuse or change what the service writes: a breach for each kind of meddler
// that was found, with the names of all of that kind. `oid` is the table's;
// the rights are those of `role`, or of the session's own.
//
// Not told is what only others' rows or statements can show: an AFTER trigger
// that raises an error, a CHECK of columns that are others'.
absl::StatusOr<std::vector<Breach>> FindMeddlers(
    postgres::Session& session, const absl::optional<std::string>& oid,
    const absl::optional<std::string>& role);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_MEDDLERS_H_
