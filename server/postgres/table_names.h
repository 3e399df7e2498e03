#ifndef USERPROFILE_SERVER_POSTGRES_TABLE_NAMES_H_
#define USERPROFILE_SERVER_POSTGRES_TABLE_NAMES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace userprofile::postgres {

// No session looks for names where others may put some: its search path is
// kSafeSearchPath, so what is not PostgreSQL's own needs its schema before its
// name. SQL of ours writes that as psql writes variables:
//
//   :users    the table, such as public.users     :'users'   that as a literal
//   :schema   its schema, quoted where needed     :'schema'
//
// A Session puts there what it found; so does this, for people to read. Without
// a schema, :users is a name that is not found, and :'schema' is NULL.
// `schema` is quoted for SQL.
//
// As psql does, it leaves strings, quoted names, comments and what is between
// dollars as they are; and slices of arrays, a[1:users], which psql does not.
// So what PostgreSQL says of expressions and definitions can be part of `sql`:
// it writes a colon nowhere else. Of sentences, a quote right after a word is
// an apostrophe.
std::string NameTables(absl::string_view sql, absl::string_view schema);

// pg_temp is named to be the last: it would be the first for tables.
inline constexpr char kSafeSearchPath[] = "pg_catalog, pg_temp";

// The setting of a session in which FindTables puts the schemas of the search
// path that was configured, as name[].
inline constexpr char kSchemasSetting[] = "userprofile.schemas";

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_TABLE_NAMES_H_
