#include "client/command/text.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace userprofile::command {
namespace {

constexpr char kReplacement[] = "\xef\xbf\xbd";  // U+FFFD
constexpr char kEllipsis[] = "\xe2\x80\xa6";     // U+2026
constexpr int kMaxWidth = 40;

bool MayBePrinted(UChar32 c) {
  if (c < 0) return false;  // no UTF-8
  switch (u_charType(c)) {
    case U_CONTROL_CHAR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_SURROGATE:
      return false;
    default:
      return !u_hasBinaryProperty(c, UCHAR_BIDI_CONTROL);
  }
}

int ColumnsOf(UChar32 c) {
  switch (u_charType(c)) {
    case U_NON_SPACING_MARK:
    case U_ENCLOSING_MARK:
    case U_FORMAT_CHAR:
      return 0;
    default:
      break;
  }
  const int width = u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
  return width == U_EA_WIDE || width == U_EA_FULLWIDTH ? 2 : 1;
}

// Calls `visit(begin, end, c)` for each code point until it returns false; of
// what is no UTF-8, c is negative.
template <typename Visit>
void ForEachCodePoint(const std::string& text, Visit visit) {
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < size;) {
    const std::int32_t begin = i;
    UChar32 c;
    U8_NEXT(text, i, size, c);
    if (!visit(begin, i, c)) return;
  }
}

// Printable text, cut to the most that a column has.
std::string Cut(std::string text) {
  if (WidthOf(text) <= kMaxWidth) return text;
  int width = 1;  // of the ellipsis
  std::int32_t size = 0;
  ForEachCodePoint(text, [&](std::int32_t, std::int32_t end, UChar32 c) {
    width += ColumnsOf(c);
    if (width > kMaxWidth) return false;
    size = end;
    return true;
  });
  return absl::StrCat(text.substr(0, size), kEllipsis);
}

}  // namespace

std::string Printable(const std::string& text) {
  std::string result;
  ForEachCodePoint(text, [&](std::int32_t begin, std::int32_t end, UChar32 c) {
    if (MayBePrinted(c)) {
      result.append(text, begin, end - begin);
    } else {
      result.append(kReplacement);
    }
    return true;
  });
  return result;
}

int WidthOf(const std::string& text) {
  int width = 0;
  ForEachCodePoint(text, [&](std::int32_t, std::int32_t, UChar32 c) {
    width += ColumnsOf(c);
    return true;
  });
  return width;
}

std::string CsvLine(const std::vector<std::string>& fields) {
  return absl::StrCat(
      absl::StrJoin(fields, ",",
                    [](std::string* out, const std::string& field) {
                      if (field.find_first_of("\",\r\n") == std::string::npos) {
                        out->append(field);
                        return;
                      }
                      absl::StrAppend(
                          out, "\"",
                          absl::StrReplaceAll(field, {{"\"", "\"\""}}), "\"");
                    }),
      "\r\n");
}

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {
  for (const std::string& header : headers_) {
    widths_.push_back(WidthOf(header));
  }
}

std::string Table::Add(std::vector<std::vector<std::string>> rows) {
  for (std::vector<std::string>& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = Cut(Printable(row[i]));
      widths_[i] = std::max(widths_[i], WidthOf(row[i]));
    }
  }
  std::string lines;
  if (!std::exchange(has_begun_, true)) lines = LineOf(headers_);
  for (const std::vector<std::string>& row : rows) lines += LineOf(row);
  return lines;
}

std::string Table::LineOf(const std::vector<std::string>& cells) const {
  std::string line;
  std::size_t end = 0;  // of the last cell that is not empty
  for (std::size_t i = 0; i < cells.size(); ++i) {
    line += cells[i];
    if (!cells[i].empty()) end = line.size();
    line.append(widths_[i] - WidthOf(cells[i]) + 2, ' ');
  }
  line.resize(end);
  return line + "\n";
}

}  // namespace userprofile::command
