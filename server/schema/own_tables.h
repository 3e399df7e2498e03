#ifndef USERPROFILE_SERVER_SCHEMA_OWN_TABLES_H_
#define USERPROFILE_SERVER_SCHEMA_OWN_TABLES_H_

#include <array>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

// Tables that stand beside users, and are ours from the first day: so there is
// one form of each, and nothing to adopt. What every write that changed data
// adds a row to, and WatchProfiles reads; and what bots store of their
// dialogues (server/store/statements.h). Not the history, nor the key of
// tokens, which are looked at before they are relied on.
namespace userprofile::schema {

inline constexpr char kChangesTable[] = "userprofile_changes";
inline constexpr char kSessionsTable[] = "userprofile_sessions";

// One of them.
struct OwnTable {
  const char* name;
  const char* what;         // such as "the table of changes"
  const char* part_of;      // what goes by it, such as "every contact"
  Severity if_wrong;        // how bad it is if it is not as it should be
  const char* rights;       // that whoever serves needs on it
  const char* columns;      // with their types
  const char* key;          // the columns of its primary key
  const char* the_default;  // the only one that a column has; null for none
  const char* indexes;      // beside that of the key: patterns, as a text[]
  const char* create;       // SQL that makes it
};

extern const std::array<OwnTable, 2> kOwnTables;

// The one of that name; null if it is none of them.
const OwnTable* FindOwnTable(absl::string_view name);

// Reads what is the matter with such a table beside users, which has the oid
// $1, as the role $2 (or the current one) meets it: what is wrong with it, NULL
// if nothing is and kMissing if it is not there; the rights that the role
// lacks, NULL if none; whether more hangs on it than we made; and whether
// row-level security hides rows of it. A table that others made could have what
// its triggers and defaults call run by whoever writes; whoever may create in
// the database may do worse. OwnTableParameters gives the other parameters.
extern const postgres::Statement kReadOwnTable;
postgres::Parameters OwnTableParameters(const OwnTable& table);

struct CatalogOwnTable {
  std::string fault;
  std::string lacks_rights;
  bool has_more = false;
  bool hides_rows = false;

  // Whether those who serve may use it.
  bool is_right() const {
    return fault.empty() && lacks_rights.empty() && !hides_rows;
  }
};

// SQL that lets those use it who serve: to whom roles.sql gave the history of
// migrations to read, by name, and who may insert into users. Not others who
// may, as bots that write by themselves: who deletes changes keeps every watch
// from what it is to be told. `schema` is quoted for SQL.
std::string ShareOwnTable(const OwnTable& table, absl::string_view schema);

// The breaches of such a table, for the role.
std::vector<Breach> JudgeOwnTable(const OwnTable& table,
                                  const CatalogOwnTable& found,
                                  absl::string_view role);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_OWN_TABLES_H_
