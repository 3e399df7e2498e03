#ifndef USERPROFILE_SERVER_SCHEMA_ADOPTION_H_
#define USERPROFILE_SERVER_SCHEMA_ADOPTION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "server/postgres/session.h"

namespace userprofile::schema {

// Where known users may be if not in users.user_id, and the SQL that makes them
// be there. Whatever it is, rows, columns and foreign keys stay. What is said
// here is advice, for a person to run: names can only hint at what is meant.

// A table of users that the search path does not show as users.
struct Elsewhere {
  std::string place;   // schema and table, quoted
  std::string schema;  // quoted
  bool has_its_name = false;
  bool has_history = false;  // it was migrated
  std::string sql;
};

// The likeliest one; nullopt if there is none. By its name, by columns that
// hardly anything else has, or by a key that looks like a Telegram id.
absl::StatusOr<absl::optional<Elsewhere>> FindElsewhere(
    postgres::Session& session);

// Another column of users, for its key.
struct KeyBeside {
  std::string column;  // quoted
  std::string sql;
};

// Of users without a user_id: which column may be it, by its name.
absl::StatusOr<absl::optional<KeyBeside>> FindKey(postgres::Session& session,
                                                  const std::string& oid);

// Of users with one: a column that by its name holds Telegram ids, or any
// unique one of numbers beside a user_id that PostgreSQL counts up, if these
// differ from user_id in most of the rows: user_id is an internal number then,
// and everybody would look new. Reads some rows, if there is such a column and
// the session may read it. A comment on user_id that says "Telegram" means that
// somebody has looked.
absl::StatusOr<absl::optional<KeyBeside>> FindKeyBeside(
    postgres::Session& session, const std::string& oid);

// The SQL that makes user_id the primary key, and the one that was a unique
// constraint; that makes a table of what is none (a view, a partitioned table);
// and that takes in the rows of the tables that inherit.
absl::StatusOr<std::string> RebuildKey(postgres::Session& session,
                                       const std::string& oid);
absl::StatusOr<std::string> MakeTable(postgres::Session& session,
                                      const std::string& oid);
absl::StatusOr<std::string> TakeInHeirs(postgres::Session& session,
                                        const std::string& oid);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_ADOPTION_H_
