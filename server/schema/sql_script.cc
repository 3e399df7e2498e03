#include "server/schema/sql_script.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace userprofile::schema {
namespace {

// The length of the dollar quote's mark ("$$", "$body$") that `text` begins
// with; 0 if it begins with none.
std::size_t DollarMark(absl::string_view text) {
  if (text.empty() || text[0] != '$') return 0;
  std::size_t i = 1;
  while (i < text.size() && (absl::ascii_isalnum(text[i]) || text[i] == '_')) {
    ++i;
  }
  const bool is_mark = i < text.size() && text[i] == '$' &&
                       (i == 1 || !absl::ascii_isdigit(text[1]));
  return is_mark ? i + 1 : 0;
}

// Through the end of `end`, which is looked for from `from` on.
std::size_t After(absl::string_view text, absl::string_view end,
                  std::size_t from) {
  const std::size_t at = text.find(end, from);
  return at == absl::string_view::npos ? text.size() : at + end.size();
}

// Block comments nest.
std::size_t BlockComment(absl::string_view text) {
  std::size_t i = 2;
  for (int depth = 1; depth > 0 && i < text.size();) {
    if (absl::StartsWith(text.substr(i), "/*")) {
      ++depth;
      i += 2;
    } else if (absl::StartsWith(text.substr(i), "*/")) {
      --depth;
      i += 2;
    } else {
      ++i;
    }
  }
  return std::min(i, text.size());
}

std::size_t Comment(absl::string_view text) {
  if (absl::StartsWith(text, "--")) return After(text, "\n", 2);
  if (absl::StartsWith(text, "/*")) return BlockComment(text);
  return 0;
}

// A doubled quote within is the end of one text and the start of the next.
std::size_t Quoted(absl::string_view text) {
  if (text[0] == '\'' || text[0] == '"') {
    return After(text, text.substr(0, 1), 1);
  }
  const std::size_t mark = DollarMark(text);
  return mark == 0 ? 0 : After(text, text.substr(0, mark), mark);
}

}  // namespace

std::vector<absl::string_view> SplitStatements(absl::string_view script) {
  std::vector<absl::string_view> statements;
  std::size_t start = 0;
  bool empty = true;  // nothing but comments since then
  const auto end_at = [&](std::size_t end) {
    if (!empty) {
      statements.push_back(
          absl::StripAsciiWhitespace(script.substr(start, end - start)));
    }
    start = end + 1;
    empty = true;
  };
  for (std::size_t i = 0; i < script.size();) {
    const absl::string_view rest = script.substr(i);
    if (const std::size_t comment = Comment(rest); comment > 0) {
      i += comment;
    } else if (const std::size_t quoted = Quoted(rest); quoted > 0) {
      empty = false;
      i += quoted;
    } else if (rest[0] == ';') {
      end_at(i++);
    } else {
      empty = empty && absl::ascii_isspace(rest[0]);
      ++i;
    }
  }
  if (start < script.size()) end_at(script.size());
  return statements;
}

}  // namespace userprofile::schema
