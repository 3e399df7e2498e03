#include "server/schema/remedies.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace userprofile::schema {
namespace {

std::string Alter(const Column& column, absl::string_view action) {
  return absl::StrFormat("ALTER TABLE users ALTER COLUMN %s %s", column.name,
                         action);
}

bool IsWholeNumber(absl::string_view type) {
  return type == "smallint" || type == "integer" || type == "bigint";
}

bool IsText(absl::string_view type) {
  return type == "text" || absl::StartsWith(type, "character");
}

bool IsTime(absl::string_view type) {
  return absl::StartsWith(type, "timestamp");
}

bool IsNumber(absl::string_view type) {
  return IsWholeNumber(type) || absl::StartsWith(type, "numeric") ||
         type == "real" || type == "double precision";
}

bool HasTimeZone(absl::string_view type) {
  return absl::EndsWith(type, "with time zone");
}

// What a value of a type that has more, or other, values most likely means.
std::string Conversion(const Column& column, absl::string_view found) {
  const absl::string_view wanted = column.type;
  const std::string value = column.name;
  if (IsText(wanted)) {
    if (found == "bytea")
      return absl::StrCat("convert_from(", value, ", 'UTF8')");
    if (absl::StartsWith(found, "json"))
      return absl::StrCat(value, " #>> '{}'");
    if (absl::EndsWith(found, "[]")) {
      return absl::StrCat("array_to_string(", value, ", ', ')");
    }
  } else if (wanted == "boolean" && IsNumber(found)) {
    return absl::StrCat(value, " <> 0");
  } else if (IsTime(wanted) && !IsTime(found)) {
    const std::string time =
        IsNumber(found)
            ? absl::StrCat("to_timestamp(", value, ")")
            : absl::StrCat("(", value, "::text || ' UTC')::timestamptz");
    return HasTimeZone(wanted)
               ? time
               : absl::StrCat("(", time, " AT TIME ZONE 'UTC')");
  }
  return absl::StrCat(value, "::text::", wanted);
}

// Whoever left a real name and a nickname had answered the questions. The rule
// of migration 008.
constexpr char kWasOnboarded[] =
    "coalesce(real_name::text ~ '\\S' AND nickname::text ~ '\\S', false)";

// Whose first contact nobody recorded was there at the latest at the oldest
// time known. The rule of migration 011.
constexpr char kFirstContact[] =
    "LEAST(last_seen_at AT TIME ZONE 'UTC', last_activity AT TIME ZONE 'UTC', "
    "updated_at, now() AT TIME ZONE 'UTC')";

// What a column that was lost is filled with from the others; nullptr if its
// default, or NULL, is right.
const char* ValueOfLost(absl::string_view column) {
  if (column == "onboarding_completed") return kWasOnboarded;
  return column == "created_at" ? kFirstContact : nullptr;
}

}  // namespace

const char* MeaningOfNull(const Column& column) {
  const absl::string_view name = column.name;
  if (name == "is_active") return "true";
  if (name == "onboarding_completed") return "false";
  if (name == "revision") return "1";
  return name == "created_at" ? kFirstContact : nullptr;
}

bool IsFilledFromOthers(const Column& column) {
  return ValueOfLost(column.name) != nullptr;
}

// kAnyDefault stands for the time of the insert.
absl::string_view DefaultOf(const Column& column) {
  return column.default_value == kAnyDefault ? "(now() AT TIME ZONE 'UTC')"
                                             : column.default_value;
}

std::string AddColumn(const Column& column) {
  std::string sql = absl::StrFormat("ALTER TABLE users ADD COLUMN %s %s",
                                    column.name, column.type);
  // By a change of type: no trigger of others shall take it for a change of the
  // profile.
  if (const char* value = ValueOfLost(column.name)) {
    return absl::StrFormat(
        "%1$s; ALTER TABLE users ALTER COLUMN %2$s TYPE %3$s USING %4$s, ALTER "
        "COLUMN %2$s SET DEFAULT %5$s, ALTER COLUMN %2$s SET NOT NULL",
        sql, column.name, column.type, value, DefaultOf(column));
  }
  if (!column.nullable) absl::StrAppend(&sql, " NOT NULL");
  if (column.default_value != nullptr) {
    absl::StrAppend(&sql, " DEFAULT ", DefaultOf(column));
  }
  return sql;
}

bool CanChangeType(const Column& column, absl::string_view found) {
  const absl::string_view wanted = column.type;
  return (IsText(wanted) && (IsText(found) || IsWholeNumber(found))) ||
         (wanted == "bigint" && IsWholeNumber(found)) ||
         (IsTime(wanted) && IsTime(found));
}

bool ChangeRewritesTable(const Column& column, absl::string_view found) {
  if (IsTime(found)) return HasTimeZone(column.type) != HasTimeZone(found);
  return found != "text" && !absl::StartsWith(found, "character varying");
}

std::string ChangeType(const Column& column, absl::string_view found) {
  const absl::string_view wanted = column.type;
  if (!CanChangeType(column, found)) {
    // With its default, for that may not be one of the other type.
    return absl::StrCat(
        kByPerson, "see that its values become what they mean: ",
        Alter(column, "DROP DEFAULT"),
        absl::StrFormat(", ALTER COLUMN %s TYPE %s USING %s", column.name,
                        wanted, Conversion(column, found)),
        column.default_value == nullptr
            ? ""
            : absl::StrCat(", ALTER COLUMN ", column.name, " SET DEFAULT ",
                           DefaultOf(column)));
  }
  // A time without a zone is one in UTC.
  const bool changes_zone =
      IsTime(wanted) && HasTimeZone(wanted) != HasTimeZone(found);
  return Alter(column,
               absl::StrCat("TYPE ", wanted,
                            changes_zone ? absl::StrCat(" USING ", column.name,
                                                        " AT TIME ZONE 'UTC'")
                                         : ""));
}

std::string ChangeNullability(const Column& column) {
  return Alter(column, column.nullable ? "DROP NOT NULL" : "SET NOT NULL");
}

std::string ChangeDefault(const Column& column) {
  return column.default_value == nullptr
             ? Alter(column, "DROP DEFAULT")
             : Alter(column, absl::StrCat("SET DEFAULT ", DefaultOf(column)));
}

std::string CreateIndex(const Index& index) {
  return absl::StrFormat("CREATE %sINDEX %s ON users (%s)",
                         index.unique ? "UNIQUE " : "", index.name,
                         index.column);
}

}  // namespace userprofile::schema
