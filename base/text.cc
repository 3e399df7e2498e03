#include "base/text.h"

#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/utf8.h>

#include <cstdint>

namespace userprofile::base {
namespace {

bool IsControl(UChar32 c) { return c < 0x20 || (c >= 0x7f && c <= 0x9f); }

bool IsBlank(UChar32 c) {
  return u_isUWhiteSpace(c) || u_charType(c) == U_FORMAT_CHAR;
}

}  // namespace

TextTraits Inspect(const std::string& text) {
  TextTraits traits;
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0; i < size; ++traits.code_points) {
    UChar32 c;
    U8_NEXT(text, i, size, c);
    if (c < 0) {
      traits.valid_utf8 = false;
      return traits;
    }
    if (IsControl(c)) traits.has_control_characters = true;
    if (traits.blank && !IsBlank(c)) traits.blank = false;
  }
  return traits;
}

bool HoldsNul(absl::string_view text) {
  return text.find('\0') != absl::string_view::npos;
}

std::string Fit(const std::string& text, int max_code_points) {
  std::string fit;
  const auto size = static_cast<std::int32_t>(text.size());
  for (std::int32_t i = 0, code_points = 0; i < size;) {
    const std::int32_t begin = i;
    UChar32 c;
    U8_NEXT(text, i, size, c);
    if (c < 0 || IsControl(c)) continue;
    if (++code_points > max_code_points) break;
    fit.append(text, begin, i - begin);
  }
  return fit;
}

// ICU reads a tag up to the first subtag that it does not like, and says how
// far that was.
bool IsWellFormedLanguageTag(const std::string& tag) {
  char locale[ULOC_FULLNAME_CAPACITY];
  std::int32_t parsed = 0;
  UErrorCode error = U_ZERO_ERROR;
  uloc_forLanguageTag(tag.c_str(), locale, sizeof locale, &parsed, &error);
  return U_SUCCESS(error) && !tag.empty() &&
         parsed == static_cast<std::int32_t>(tag.size());
}

}  // namespace userprofile::base
