#include "client/telegram/acceptable_text.h"

#include <algorithm>
#include <cstddef>
#include <regex>

#include "absl/strings/ascii.h"

namespace userprofile::telegram {
namespace {

constexpr std::size_t kMaxName = 256;     // code points
constexpr std::size_t kMaxUsername = 64;  // code points
constexpr std::size_t kMaxLanguageCode = 35;

// RFC 5646, 2.1, for tags in small letters.
constexpr char kLanguageTag[] =
    "("
    "([a-z]{2,3}(-[a-z]{3}){0,3}|[a-z]{4,8})"  // language
    "(-[a-z]{4})?"                             // script
    "(-([a-z]{2}|[0-9]{3}))?"                  // region
    "(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"     // variants
    "(-[0-9a-wyz](-[a-z0-9]{2,8})+)*"          // extensions
    "(-x(-[a-z0-9]{1,8})+)?"                   // private use
    ")|x(-[a-z0-9]{1,8})+";

bool IsContinuation(unsigned char byte) { return (byte & 0xc0) == 0x80; }

// The text without control characters, cut to that many code points.
std::string Fit(const std::string& text, std::size_t max_code_points) {
  std::string result;
  std::size_t code_points = 0;
  std::size_t end;
  for (std::size_t begin = 0; begin < text.size(); begin = end) {
    for (end = begin + 1; end < text.size() && IsContinuation(text[end]);) {
      ++end;
    }
    const auto first = static_cast<unsigned char>(text[begin]);
    const bool is_c1 = first == 0xc2 && end - begin == 2 &&
                       static_cast<unsigned char>(text[begin + 1]) < 0xa0;
    if (absl::ascii_iscntrl(first) || is_c1) continue;
    if (++code_points > max_code_points) break;
    result.append(text, begin, end - begin);
  }
  return result;
}

}  // namespace

std::string AcceptableName(const std::string& name) {
  return Fit(name, kMaxName);
}

bool IsAcceptableUsername(const std::string& username) {
  return Fit(username, kMaxUsername) == username;
}

bool IsAcceptableLanguageCode(const std::string& code) {
  // Nearly all are such; a regular expression costs more than all the rest.
  if ((code.size() == 2 || code.size() == 3) &&
      std::all_of(code.begin(), code.end(), absl::ascii_isalpha)) {
    return true;
  }
  static const auto& language_tag = *new std::regex(kLanguageTag);
  return code.size() <= kMaxLanguageCode &&
         std::regex_match(absl::AsciiStrToLower(code), language_tag);
}

}  // namespace userprofile::telegram
