#include "server/postgres/array_literal.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace userprofile::postgres {

void ArrayLiteral::Separate() {
  if (text_.size() > 1) text_.push_back(',');
}

void ArrayLiteral::AppendInt64(absl::optional<std::int64_t> value) {
  if (!value) return AppendNull();
  Separate();
  absl::StrAppend(&text_, *value);
}

void ArrayLiteral::AppendBool(absl::optional<bool> value) {
  if (!value) return AppendNull();
  Separate();
  text_.push_back(*value ? 't' : 'f');
}

void ArrayLiteral::AppendText(absl::string_view value) {
  Separate();
  text_.push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') text_.push_back('\\');
    text_.push_back(c);
  }
  text_.push_back('"');
}

void ArrayLiteral::AppendNumber(absl::string_view number) {
  Separate();
  text_.append(number.data(), number.size());
}

void ArrayLiteral::AppendNull() {
  Separate();
  text_.append("NULL");
}

std::string ArrayLiteral::Finish() {
  text_.push_back('}');
  return std::exchange(text_, "{");
}

}  // namespace userprofile::postgres
