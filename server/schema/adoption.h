#ifndef USERPROFILE_SERVER_SCHEMA_ADOPTION_H_
#define USERPROFILE_SERVER_SCHEMA_ADOPTION_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/schema/catalog.h"

namespace userprofile::schema {

// Where known users may be if not in users.user_id, and the SQL that makes them
// be there. Whatever it is, rows, columns and foreign keys stay. What is said
// here is advice, for a person to run: names can only hint at what is meant.

// Of users without a user_id: the likeliest column, by its name; nullptr if
// there is none.
const CatalogColumn* FindKey(const Catalog& catalog);

// Of users with one: the columns that by their names hold Telegram ids, and any
// unique number beside a user_id that PostgreSQL counts up, the likeliest
// first. If most rows have another number there than in user_id, that is an
// internal one, and everybody would look new. None where a comment on user_id
// says "Telegram": somebody has looked.
struct KeyBeside {
  const CatalogColumn* column;
  bool is_named;      // so that its name says what it is
  bool is_of_several  // columns that are unique together only
      = false;
};
std::vector<KeyBeside> FindKeysBeside(const Catalog& catalog);

// The SQL that makes a column the user_id, and what was user_id another one.
std::string TakeAsKey(const Catalog& catalog, absl::string_view column);

// The SQL that drops the foreign keys that refer to users, or to one index of
// it, and that creates them again; empty if there are none.
std::string DropReferences(const Catalog& catalog, absl::string_view index);
std::string AddReferences(const Catalog& catalog, absl::string_view index);

// The SQL that makes user_id the primary key, and `key` a unique constraint;
// that makes a table of what is none (a view, a partitioned table); and that
// takes in the rows of the tables that inherit.
std::string RebuildKey(const Catalog& catalog, const CatalogConstraint& key);
std::string MakeTable(const Catalog& catalog);
std::string TakeInHeirs(const Catalog& catalog);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_ADOPTION_H_
