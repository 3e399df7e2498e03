#ifndef USERPROFILE_SERVER_SCHEMA_REMEDIES_H_
#define USERPROFILE_SERVER_SCHEMA_REMEDIES_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "server/schema/contract.h"

namespace userprofile::schema {

// What mends a breach: SQL, which can be run as it stands. None of it can lose
// data. Where a person must decide, a sentence goes before: "WORDS: SQL", and
// "; or, if WORDS, SQL" for an alternative.
inline constexpr char kByPerson[] = "a person must decide: ";

std::string AddColumn(const Column& column);

// "ADD COLUMN ...", without a look at the other columns.
std::string AddColumnClause(const Column& column);

// Whether AddColumn has to fill it from other columns, of those that `has` says
// are there: that writes the whole table anew, for the column shall be there
// filled, or not at all.
bool IsFilledFromOthers(const Column& column,
                        absl::FunctionRef<bool(absl::string_view)> has);

// What the rows of users hold where NULL must not be: what NULL meant to the
// bots. nullptr if that is nothing.
const char* MeaningOfNull(const Column& column);

// Whether every value of the type that was found is one of the column's type.
bool CanChangeType(const Column& column, absl::string_view found);

// Whether that change writes the whole table anew, for it stores values in
// another form. Else only the catalog is changed; where the time zone is UTC.
bool ChangeRewritesTable(absl::string_view found);

// To the column's type, from the one that was found; in any time zone, or only
// where that is UTC.
std::string ChangeType(const Column& column, absl::string_view found);
std::string ChangeTypeInUtc(const Column& column);

// To the column's nullability.
std::string ChangeNullability(const Column& column);

// To the column's default.
std::string ChangeDefault(const Column& column);

std::string CreateIndex(const Index& index);

// "now() AT TIME ZONE 'UTC'" and so on; only for a column that has a default.
absl::string_view DefaultOf(const Column& column);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REMEDIES_H_
