#ifndef USERPROFILE_CLIENT_TELEGRAM_ACCEPTABLE_TEXT_H_
#define USERPROFILE_CLIENT_TELEGRAM_ACCEPTABLE_TEXT_H_

#include <string>

#include "absl/types/optional.h"

namespace userprofile::telegram {

// The text as the service takes it in a field of v1::Identity; nullopt if it is
// to be left out.
//
// The service refuses a request as a whole if one text in it breaks the limits
// that the API file gives for its field. What Telegram reports is what it is,
// in every update of that user again: a strange name would lock its user out
// for ever. So names lose their control characters and are cut. A username is
// left out, for, cut, it could be somebody else's; and so is a language tag
// that is none, for it says nothing. Expects UTF-8.
absl::optional<std::string> AcceptableText(const char* field,
                                           const std::string& text);

}  // namespace userprofile::telegram

#endif  // USERPROFILE_CLIENT_TELEGRAM_ACCEPTABLE_TEXT_H_
