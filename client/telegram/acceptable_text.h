#ifndef USERPROFILE_CLIENT_TELEGRAM_ACCEPTABLE_TEXT_H_
#define USERPROFILE_CLIENT_TELEGRAM_ACCEPTABLE_TEXT_H_

#include <string>

namespace userprofile::telegram {

// The service refuses a request as a whole if one text in it breaks the limits
// of userprofile/v1/user_profile_service.proto. What Telegram reports is what
// it is, in every update of that user again: a strange name would lock its
// user out for ever. So the texts are made to fit before they are sent. All
// expect UTF-8.

// The name without control characters (C0, DEL and C1), and cut to 256 code
// points.
std::string AcceptableName(const std::string& name);

// Whether the username can be sent. One that can't is to be left out: cut, it
// could be somebody else's.
bool IsAcceptableUsername(const std::string& username);

// Whether the language code is a well-formed BCP 47 tag of at most 35
// characters; one that is not says nothing and is to be left out. Knows the
// grammar's rules but not the old tags that it lists beside them, such as
// "i-klingon": no app reports those.
bool IsAcceptableLanguageCode(const std::string& code);

}  // namespace userprofile::telegram

#endif  // USERPROFILE_CLIENT_TELEGRAM_ACCEPTABLE_TEXT_H_
