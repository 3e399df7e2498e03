#ifndef USERPROFILE_BASE_TEXT_H_
#define USERPROFILE_BASE_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace userprofile::base {

// What has to be known of a text to judge it. The others mean nothing unless
// valid_utf8.
struct TextTraits {
  bool valid_utf8 = true;

  // U+0000 to U+001F and U+007F to U+009F.
  bool has_control_characters = false;

  // Nothing to be seen: empty, or white space and format characters (such as
  // the zero-width joiners, which are fine within a text) only.
  bool blank = true;

  int code_points = 0;
};

TextTraits Inspect(const std::string& text);

// Whether it holds U+0000, which PostgreSQL can't store, and where what is
// written in C takes a text to end.
bool HoldsNul(absl::string_view text);

// The text without control characters, cut to that many code points. What is no
// UTF-8 in it goes, too.
std::string Fit(const std::string& text, int max_code_points);

// Whether `tag` is well-formed by the grammar of BCP 47 (RFC 5646, section
// 2.1), such as "fa", "pt-BR" or "zh-Hant-TW". Whether its subtags are
// registered is not asked: registries grow.
bool IsWellFormedLanguageTag(const std::string& tag);

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_TEXT_H_
