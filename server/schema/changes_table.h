#ifndef USERPROFILE_SERVER_SCHEMA_CHANGES_TABLE_H_
#define USERPROFILE_SERVER_SCHEMA_CHANGES_TABLE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

// The table of changes, which stands beside users: what every write that
// changed data adds a row to, and WatchProfiles reads
// (server/store/statements.h). It is ours from the first day, so there is one
// form of it, and nothing to adopt.
namespace userprofile::schema {

inline constexpr char kChangesTable[] = "userprofile_changes";

// Of the table beside users, which has the oid $1, as the role $2 (or the
// current one) meets it: what is wrong with it, NULL if nothing is and kMissing
// if it is not there; the rights that the role lacks, NULL if none; whether
// more hangs on it than we made; and whether row-level security hides rows of
// it. A table that others made could have what its triggers and defaults call
// run by whoever writes; whoever may create in the database may do worse.
extern const postgres::Statement kReadChanges;

struct CatalogChanges {
  std::string fault;
  std::string lacks_rights;
  bool has_more = false;
  bool hides_rows = false;
};

// SQL that makes it, and that lets those write to it who serve: to whom
// roles.sql gave the history of migrations to read, by name, and who may insert
// into users. Not others who may, as bots that write by themselves: who deletes
// changes keeps every watch from what it is to be told. `schema` is quoted for
// SQL.
extern const char kCreateChanges[];
std::string ShareChanges(absl::string_view schema);

// The breaches of such a table, for the role.
std::vector<Breach> JudgeChanges(const CatalogChanges& changes,
                                 absl::string_view role);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_CHANGES_TABLE_H_
