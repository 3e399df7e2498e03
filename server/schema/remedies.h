#ifndef USERPROFILE_SERVER_SCHEMA_REMEDIES_H_
#define USERPROFILE_SERVER_SCHEMA_REMEDIES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "server/schema/contract.h"

namespace userprofile::schema {

// What mends a breach: SQL, or a sentence where a person must decide. None of
// it can lose data.

std::string AddColumn(const Column& column);

// To the column's type, from the one that was found.
std::string ChangeType(const Column& column, absl::string_view found);

// To the column's nullability.
std::string ChangeNullability(const Column& column);

// To the column's default.
std::string ChangeDefault(const Column& column);

std::string CreateIndex(const Index& index);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REMEDIES_H_
