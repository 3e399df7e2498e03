#include "server/schema/remedies.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace userprofile::schema {
namespace {

std::string Alter(const Column& column, absl::string_view action) {
  return absl::StrFormat("ALTER TABLE :users ALTER COLUMN %s %s", column.name,
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

// Whoever left a real name and a nickname had answered the questions.
constexpr char kWasOnboarded[] =
    "coalesce(real_name::text ~ '\\S' AND nickname::text ~ '\\S', false)";

// Whose first contact nobody recorded was there at the latest at the oldest
// time known.
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

bool IsFilledFromOthers(const Column& column,
                        absl::FunctionRef<bool(absl::string_view)> has) {
  const absl::string_view name = column.name;
  if (name == "onboarding_completed") {
    return has("real_name") && has("nickname");
  }
  return name == "created_at" &&
         (has("last_seen_at") || has("last_activity") || has("updated_at"));
}

// kAnyDefault stands for the time of the insert.
absl::string_view DefaultOf(const Column& column) {
  return column.default_value == kAnyDefault ? "(now() AT TIME ZONE 'UTC')"
                                             : column.default_value;
}

std::string AddColumnClause(const Column& column) {
  return absl::StrCat("ADD COLUMN ", column.name, " ", column.type,
                      column.nullable ? "" : " NOT NULL",
                      column.default_value == nullptr
                          ? ""
                          : absl::StrCat(" DEFAULT ", DefaultOf(column)));
}

std::string AddColumn(const Column& column) {
  const char* value = ValueOfLost(column.name);
  if (value == nullptr) {
    return absl::StrCat("ALTER TABLE :users ", AddColumnClause(column));
  }
  // By a change of type: no trigger of others shall take it for a change of the
  // profile.
  return absl::StrFormat(
      "ALTER TABLE :users ADD COLUMN %1$s %2$s; ALTER TABLE :users ALTER "
      "COLUMN "
      "%1$s TYPE %2$s USING %3$s, ALTER COLUMN %1$s SET DEFAULT %4$s, ALTER "
      "COLUMN %1$s SET NOT NULL",
      column.name, column.type, value, DefaultOf(column));
}

bool CanChangeType(const Column& column, absl::string_view found) {
  const absl::string_view wanted = column.type;
  return (IsText(wanted) && (IsText(found) || IsWholeNumber(found))) ||
         (wanted == "bigint" && IsWholeNumber(found)) ||
         (IsTime(wanted) && IsTime(found));
}

bool ChangeRewritesTable(absl::string_view found) {
  return !IsTime(found) && found != "text" &&
         !absl::StartsWith(found, "character varying");
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

std::string ChangeTypeInUtc(const Column& column) {
  return absl::StrCat("SET TimeZone = 'UTC'; ",
                      Alter(column, absl::StrCat("TYPE ", column.type)));
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
  return absl::StrFormat("CREATE %sINDEX %s ON :users (%s)",
                         index.unique ? "UNIQUE " : "", index.name,
                         KeyOf(index));
}

}  // namespace userprofile::schema
