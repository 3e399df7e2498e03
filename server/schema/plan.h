#ifndef USERPROFILE_SERVER_SCHEMA_PLAN_H_
#define USERPROFILE_SERVER_SCHEMA_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/postgres/session.h"

namespace userprofile::schema {

// One statement that Migrate would run.
struct PlannedStatement {
  std::string sql;

  // The strongest lock on users that it takes, by PostgreSQL's name, such as
  // "ACCESS EXCLUSIVE"; empty for none, or if that is not known.
  std::string lock;

  // Whether it writes the whole table anew, with that lock held.
  bool rewrites_table = false;

  // Why it would fail, or what is not known of it; empty if nothing.
  std::string problem;
};

struct PlannedMigration {
  int version;
  std::string name;
  migrations::Kind kind;
  std::vector<PlannedStatement> statements;
};

struct Plan {
  std::vector<PlannedMigration> migrations;

  // What is odd about the history: Migrate may refuse to run because of it.
  std::vector<std::string> warnings;

  // What FindObstacles says: Migrate would begin nothing. Empty if nothing.
  std::string obstacles;

  // Whether Migrate would fail, as far as is known.
  bool is_refused = false;
};

// What Migrate would do, found out by doing it: each statement runs on a
// temporary copy of users, with its columns, constraints, indexes and some of
// its rows, in a transaction that is rolled back. users itself is only read,
// and nobody has to wait. What depends on other rows or on objects beyond the
// table (a view that keeps a column's type) is not seen.
//
// Wants the right to create temporary tables. Uses a session of its own.
absl::StatusOr<Plan> MakePlan(const postgres::SessionFactory& connect,
                              absl::Span<const migrations::Migration>
                                  migrations = migrations::Embedded());

// For people: SQL with comments; for programs:
//   {"warnings": [text], "obstacles": text (or null), "refused": bool,
//    "migrations": [{"version", "name", "kind": "transaction" | "batches" |
//                    "index", "statements": [{"sql", "lock" (or null),
//                    "rewrites_table": bool, "problem" (or null)}]}]}
std::string FormatText(const Plan& plan);
std::string FormatJson(const Plan& plan);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_PLAN_H_
