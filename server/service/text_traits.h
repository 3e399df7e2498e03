#ifndef USERPROFILE_SERVER_SERVICE_TEXT_TRAITS_H_
#define USERPROFILE_SERVER_SERVICE_TEXT_TRAITS_H_

#include <string>

namespace userprofile::service {

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

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_TEXT_TRAITS_H_
