#ifndef USERPROFILE_SERVER_SCHEMA_CONTRACT_H_
#define USERPROFILE_SERVER_SCHEMA_CONTRACT_H_

#include <string>

#include "absl/types/span.h"
#include "server/users/columns.h"

namespace userprofile::schema {

// What a breach of the contract can cost.
enum class Severity {
  kAdvisory,  // speed only, or a default that the service never relies on
  kBlocking,  // data, or the answer to "is this user new"
};

struct Column : users::Column {
  // Of another default. Blocking where the service leaves a column out as it
  // creates a user.
  Severity default_severity;
};

using users::kAnyDefault;

// Of one column, or of what a look-up by it compares; without a condition.
struct Index {
  const char* name;
  const char* column;
  bool unique;
};

// What it is on, in SQL.
std::string KeyOf(const Index& index);

// What the service needs of the database: the columns of
// server/users/columns.h, and indexes. Those that it does not name are nobody's
// business here.
struct Contract {
  const char* table;  // found through the search path
  absl::Span<const Column> columns;
  const char* primary_key;
  absl::Span<const Index> indexes;
};

const Contract& UsersContract();

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_CONTRACT_H_
