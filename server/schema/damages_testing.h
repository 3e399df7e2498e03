#ifndef USERPROFILE_SERVER_SCHEMA_DAMAGES_TESTING_H_
#define USERPROFILE_SERVER_SCHEMA_DAMAGES_TESTING_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "migrations/embedded.h"
#include "server/schema/contract.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {

// The number of a migration after those of this program.
inline const int kNextMigration = migrations::Embedded().back().version + 1;

// One way in which a users table can be wrong, and what is to come of it.
struct Damage {
  const char* sql;     // done to a table that was as needed, with two users
  const char* object;  // of the first breach
  Severity severity;

  // What the migration says that can't mend it; nullptr if it can.
  const char* refusal = nullptr;

  // Whether the SQL in the breaches' remedies mends all of it, and has the
  // migration go on.
  bool remedy_mends = true;
};

absl::Span<const Damage> Damages();

// Makes a users table that is as needed and that nobody migrated, with two
// users and a foreign column, instead of whatever is in the database.
void CreateUnmigratedTable(const testing::TestDatabase& database);

// The table that the fix was written for: four users, a foreign column, index,
// view and trigger.
void CreateLegacyTable(const testing::TestDatabase& database);

// The SQL in what is said about a breach, or in a refusal: of each line the
// first of the alternatives, or another one. Each can be run as it stands.
std::vector<std::string> SqlIn(absl::string_view text,
                               std::size_t alternative = 0);

// Every row of `columns` of users, as text.
std::string Dump(const testing::TestDatabase& database,
                 absl::string_view columns);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_DAMAGES_TESTING_H_
