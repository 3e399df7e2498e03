#include "server/postgres/table_names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace userprofile::postgres {
namespace {

std::string Literal(absl::string_view name) {
  return absl::StrCat("'", absl::StrReplaceAll(name, {{"'", "''"}}), "'");
}

// Takes a variable of this name, be it that quotes are around it.
bool Consume(absl::string_view& sql, absl::string_view name, bool& quoted) {
  absl::string_view rest = sql;
  quoted = absl::ConsumePrefix(&rest, "'");
  if (!absl::ConsumePrefix(&rest, name)) return false;
  if (quoted ? !absl::ConsumePrefix(&rest, "'")
             : !rest.empty() &&
                   (absl::ascii_isalnum(rest.front()) || rest.front() == '_')) {
    return false;
  }
  sql = rest;
  return true;
}

}  // namespace

std::string NameTables(absl::string_view sql, absl::string_view schema) {
  std::string text;
  while (!sql.empty()) {
    const std::size_t colon = sql.find(':');
    if (colon == absl::string_view::npos) break;
    absl::StrAppend(&text, sql.substr(0, colon));
    sql.remove_prefix(colon);
    if (absl::StartsWith(sql, "::")) {  // a cast
      absl::StrAppend(&text, "::");
      sql.remove_prefix(2);
      continue;
    }
    sql.remove_prefix(1);
    bool quoted = false;
    std::string name;
    if (Consume(sql, "users", quoted)) {
      name = schema.empty() ? "users" : absl::StrCat(schema, ".users");
    } else if (Consume(sql, "schema", quoted)) {
      name = std::string(schema);
    } else {
      text.push_back(':');
      continue;
    }
    absl::StrAppend(&text, !quoted        ? name
                           : name.empty() ? "NULL"
                                          : Literal(name));
  }
  return absl::StrCat(text, sql);
}

}  // namespace userprofile::postgres
