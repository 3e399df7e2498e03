#include "server/service/text_traits.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstdint>

namespace userprofile::service {
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

}  // namespace userprofile::service
