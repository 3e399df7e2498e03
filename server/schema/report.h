#ifndef USERPROFILE_SERVER_SCHEMA_REPORT_H_
#define USERPROFILE_SERVER_SCHEMA_REPORT_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/schema/contract.h"

namespace userprofile::schema {

// One thing that the contract asks for and the database has.
struct Holding {
  std::string object;    // such as "users.first_name"
  std::string expected;  // such as "character varying"
};

// What kind of thing a breach is: what a repair goes by.
enum class Fault {
  kUnlogged,
  kColumnMissing,
  kColumnType,
  kColumnNullability,
  kColumnGenerated,
  kColumnIdentity,
  kColumnDefault,
  kPrimaryKeyMissing,
  kIndexMissing,
  kIndexInvalid,  // or of our column, but not as it should be
  kIndexElse,     // an index of something else has the name
  kTableMissing,  // not users
  kRightsMissing,
  kForPerson,  // only a person can decide what to do
};

// Their names for programs, in the order of the enumeration.
inline constexpr const char* kFaultNames[] = {
    "unlogged",        "column_missing",      "column_type",
    "column_nullable", "column_generated",    "column_identity",
    "column_default",  "primary_key_missing", "index_missing",
    "index_invalid",   "index_else",          "table_missing",
    "rights_missing",  "for_person",
};

// One thing that is not as the contract asks.
struct Breach {
  Severity severity;
  Fault fault;
  std::string object;
  std::string expected;
  std::string found;   // kMissing, or what is there instead
  std::string remedy;  // SQL, or what a person must decide

  // What of the contract is broken, where it is one of these.
  const Column* column = nullptr;
  const Index* index = nullptr;
};

inline constexpr char kMissing[] = "missing";

// The object of a breach: the search path leads to another table than the one
// that was migrated.
inline constexpr char kSchemaOfUsers[] = "schema of users";

// The remedy of a table that was never there.
inline constexpr char kRunMigrations[] = "run 'userprofile-server migrate up'";

// One line for people: "users.first_name is missing".
std::string Describe(const Breach& breach);

// What an inspection found.
struct Report {
  std::vector<Holding> holdings;
  std::vector<Breach> breaches;  // blocking ones first, in the contract's order

  // Of the table, quoted for SQL; empty if there is no table.
  std::string schema;

  // What gives each function that is called as users are written, and has no
  // search path, the one that was configured. Whether one needs it is not known
  // but by trying (write_trial.h), unless a breach says so. None where the
  // owner of users is doubtful (catalog.h).
  std::vector<std::string> search_paths;

  // Of the tables beside users (own_tables.h), those that are right for the
  // role, whatever else hangs on them.
  std::set<std::string> usable_tables;

  // Whether `migrate up` has something to do that may mend the breaches.
  bool migrations_pending = false;

  // Labels of those that a newer program applied, and this one does not know.
  std::vector<std::string> unknown_migrations;

  int Count(Severity severity) const;

  // Of userprofile-server, what to run about the first breach, of which there
  // must be one: "schema check", which says more, where a person must decide.
  const char* NextCommand() const;

  // OK if no breach blocks. Otherwise UNAVAILABLE with the reason
  // SCHEMA_NOT_READY: the first breach, and the command to run next.
  absl::Status ToStatus() const;
};

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REPORT_H_
