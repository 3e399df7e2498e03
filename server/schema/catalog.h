#ifndef USERPROFILE_SERVER_SCHEMA_CATALOG_H_
#define USERPROFILE_SERVER_SCHEMA_CATALOG_H_

#include <array>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"
#include "server/schema/own_tables.h"

namespace userprofile::schema {

// What pg_catalog says of the users table and of all that can refuse or change
// what the service writes to it: facts as plain data, for the judge (judge.h).
// Names and what is made of them are quoted for SQL, unless called `name`;
// numbers of columns are pg_attribute's, where 0 stands for an expression.

struct CatalogColumn {
  int number = 0;
  std::string name;
  std::string quoted;
  std::string type;  // as format_type() writes it
  bool not_null = false;
  absl::optional<std::string> default_value;  // its own, or its domain's
  std::string identity;                       // 'a'lways, by 'd'efault, or none
  bool is_generated = false;
  bool is_vague = false;  // its collation takes for equal what is not

  // How likely its name makes it a Telegram id: 0 is not at all, 1 only if
  // others say so too; below 0 it is another number that people have. Whether
  // its type could hold one; whether PostgreSQL counts it up, or did, before
  // its default was dropped; the comment on it.
  int likeness = 0;
  bool can_hold_id = false;
  bool is_counted = false;
  std::string comment;
};

struct CatalogIndex {
  std::string name;
  std::string quoted;
  bool is_of_users = false;  // else another thing has the name, and no more
  bool is_valid = false;
  bool is_unique = false;
  bool is_primary = false;
  bool is_immediate = false;
  bool is_partial = false;
  bool nulls_not_distinct = false;
  bool is_vague = false;     // by a collation of its own
  bool is_identity = false;  // tells subscribers which row is meant
  std::string keys;          // such as "lower(nickname), phone"
  std::vector<int> columns;  // of the keys
  std::string constraint;    // what it is of; empty if of none

  bool Has(int column) const;  // among its keys
};

// Of users, or a foreign key that refers to users.
struct CatalogConstraint {
  std::string quoted;
  std::string type;   // pg_constraint.contype
  std::string table;  // whose it is
  bool is_of_users = false;
  bool is_validated = false;
  bool is_deferrable = false;
  std::string definition;
  std::string condition;  // of a check
  std::vector<int> columns;
  std::string index;  // the name of the one of users that it is made of
};

// What is published of the table when it is updated.
struct CatalogPublication {
  std::string quoted;
  std::vector<int> filter;  // columns of its row filter
  std::vector<int> list;    // its columns; empty for all
};

// A table of users that the search path does not show as users.
struct Elsewhere {
  std::string place;  // schema and table
  std::string schema;
  bool has_its_name = false;
  bool has_history = false;  // it was migrated
  std::string sql;           // makes it the users table
};

struct Catalog {
  // The database; a name for a copy of it.
  std::string encoding;
  std::string copy_name;

  // The role, and what it may not do.
  std::string role;
  std::string lacks_rights;  // such as "INSERT, UPDATE", on the table
  bool may_use_schema = false;
  bool hides_rows = false;     // row security applies to it
  std::string hidden_history;  // the table of the history, if not to be read

  // The table; `schema` is empty if there is none. Nobody has the name that it
  // can be set aside under.
  std::string schema;
  std::string kind;              // pg_class.relkind
  std::string persistence;       // pg_class.relpersistence
  std::string replica_identity;  // pg_class.relreplident
  std::string aside;
  std::string search_path;  // that was configured, for SQL
  bool may_read = false;    // this session: every row
  // Its owner, if that is neither this session's role, nor one that it is a
  // member of, nor one that may create schemas in the database, and no such one
  // owns the history: perhaps whoever came first. Superusers are members of
  // none here.
  std::string doubtful_owner;
  std::string session_role;   // as whom this session works
  bool is_superuser = false;  // that one
  std::vector<CatalogColumn> columns;
  std::vector<CatalogIndex> indexes;  // and what has the name of one of ours
  std::vector<CatalogConstraint> constraints;
  std::vector<CatalogPublication> publications;

  // What else there is, by its kind: "rule" (for INSERT and UPDATE), "trigger"
  // (that can change what is written), "function" (that is called as rows are
  // written, and needs a search path), "quiet function" (that may need one, but
  // its text does not show it), "parent", "whole" (that it is a
  // partition of), "heir" (and partition), "base" (of a view; "" if that is no
  // table of its schema), "extension" (that owns it), "sequence" (that a
  // default draws from, and the role must not).
  std::map<std::string, std::vector<std::string>> others;
  const std::vector<std::string>& Others(const std::string& kind) const;

  // Looked for where users, or a history beside it, is not.
  absl::optional<Elsewhere> elsewhere;

  // Of columns that may hold the Telegram ids, the first one whose numbers are
  // others than those in user_id. Empty if there is none.
  std::string key_beside;

  // What is the matter with the key of tokens for the role: "missing",
  // "foreign" or "hidden" (server/users/token_key.h), or "no key" in its table;
  // empty if nothing.
  std::string token_key;

  // Beside it; in the order of kOwnTables.
  std::array<CatalogOwnTable, kOwnTables.size()> own_tables;

  // The history of migrations.
  bool has_history = false;  // beside the table
  bool migrations_applied = false;
  bool migrations_pending = false;
  std::vector<std::string> unknown_migrations;
  std::string history_refusal;  // why it is not read, if it is not ours

  const CatalogColumn* FindColumn(absl::string_view name) const;
};

// Whether to look is to doubt that the table is that of the bots. Where it was
// migrated, a role that is no superuser may be one that only serves.
bool HasDoubtfulOwner(const Catalog& catalog);

// As this session sees it: its search path, its role. Works for a role without
// any rights, and within a transaction. Reads a handful of rows of pg_catalog,
// and no user, unless there are columns that may hold Telegram ids. The rights
// are those of `role`, if it is not empty.
//
// INVALID_ARGUMENT if there is no such role; ABORTED if others hold the table,
// in words that say how to see who; see also postgres::Session.
absl::StatusOr<Catalog> ReadCatalog(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations,
    const std::string& role);

// Of that only the session's role, the table as a whole, and its owner: one
// statement, which waits for nobody.
absl::StatusOr<Catalog> ReadOwner(postgres::Session& session);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_CATALOG_H_
