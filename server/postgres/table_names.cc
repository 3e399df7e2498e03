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

bool IsOfWord(char c) {
  return absl::ascii_isalnum(c) || c == '_' || !absl::ascii_isascii(c);
}

// The length of what ends with `end`, looked for from `from` on.
std::size_t LengthTo(absl::string_view sql, std::size_t from,
                     absl::string_view end) {
  const std::size_t at = sql.find(end, from);
  return at == absl::string_view::npos ? sql.size() : at + end.size();
}

// A word, with the string that it begins as in E'\''. A quote right after any
// other word is an apostrophe, of a sentence.
std::size_t LengthOfWord(absl::string_view sql) {
  std::size_t end = 0;
  while (end < sql.size() && (IsOfWord(sql[end]) || sql[end] == '$')) ++end;
  const std::string word = absl::AsciiStrToLower(sql.substr(0, end));
  if (absl::StartsWith(sql.substr(end), "'")) {
    if (word == "b" || word == "x" || word == "n") {
      return LengthTo(sql, end + 1, "'");
    }
    if (word != "e") return end + 1;
    for (++end; end < sql.size(); ++end) {
      if (sql[end] == '\\') {
        ++end;
      } else if (sql[end] == '\'' && sql.substr(++end, 1) != "'") {
        return end;
      }
    }
    return sql.size();
  }
  return end;
}

std::size_t LengthOfComment(absl::string_view sql) {
  std::size_t end = 2;
  for (int depth = 1; depth > 0 && end < sql.size();) {
    const absl::string_view next = sql.substr(end, 2);
    depth += next == "/*" ? 1 : next == "*/" ? -1 : 0;
    end += next == "/*" || next == "*/" ? 2 : 1;
  }
  return end;
}

// A string between tags as $$ or $tag$; else the dollar alone.
std::size_t LengthOfDollars(absl::string_view sql) {
  std::size_t end = 1;
  while (end < sql.size() && IsOfWord(sql[end])) ++end;
  return end == sql.size() || sql[end] != '$' || absl::ascii_isdigit(sql[1])
             ? 1
             : LengthTo(sql, end + 1, sql.substr(0, end + 1));
}

// Of what comes next and is read as a whole. A doubled quote is the end of one
// string and the begin of the next, which comes to the same.
std::size_t LengthOfToken(absl::string_view sql) {
  if (absl::StartsWith(sql, "--")) return LengthTo(sql, 2, "\n");
  if (absl::StartsWith(sql, "/*")) return LengthOfComment(sql);
  if (absl::StartsWith(sql, "::")) return 2;  // a cast
  if (IsOfWord(sql[0])) return LengthOfWord(sql);
  if (sql[0] == '$') return LengthOfDollars(sql);
  const bool quotes = sql[0] == '\'' || sql[0] == '"';
  return quotes ? LengthTo(sql, 1, sql.substr(0, 1)) : 1;
}

// Takes a variable of this name, be it that quotes are around it.
bool Consume(absl::string_view& sql, absl::string_view name, bool& quoted) {
  absl::string_view rest = sql;
  if (!absl::ConsumePrefix(&rest, ":")) return false;
  quoted = absl::ConsumePrefix(&rest, "'");
  if (!absl::ConsumePrefix(&rest, name)) return false;
  if (quoted ? !absl::ConsumePrefix(&rest, "'")
             : !rest.empty() && IsOfWord(rest.front())) {
    return false;
  }
  sql = rest;
  return true;
}

}  // namespace

std::string NameTables(absl::string_view sql, absl::string_view schema) {
  std::string text;
  int brackets = 0;
  while (!sql.empty()) {
    bool quoted = false;
    std::string name;
    if (brackets == 0 && Consume(sql, "users", quoted)) {
      name = schema.empty() ? "users" : absl::StrCat(schema, ".users");
    } else if (brackets == 0 && Consume(sql, "schema", quoted)) {
      name = std::string(schema);
    } else {
      brackets += sql[0] == '[' ? 1 : sql[0] == ']' ? -1 : 0;
      const std::size_t length = LengthOfToken(sql);
      absl::StrAppend(&text, sql.substr(0, length));
      sql.remove_prefix(length);
      continue;
    }
    absl::StrAppend(&text, !quoted        ? name
                           : name.empty() ? "NULL"
                                          : Literal(name));
  }
  return text;
}

}  // namespace userprofile::postgres
