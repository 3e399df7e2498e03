#ifndef USERPROFILE_CLIENT_ADAPTER_JSON_TEXT_H_
#define USERPROFILE_CLIENT_ADAPTER_JSON_TEXT_H_

#include <string>

#include <nlohmann/json.hpp>

namespace userprofile::adapter {

// Parses JSON of whatever origin; discarded() if it is none. A stranger's name
// or message must not keep an answer with many other updates from being read,
// so bytes that are not UTF-8, and halves of surrogate pairs, become U+FFFD, in
// `text`, too, which is JSON for everybody then. Leaves out what is nested
// deeper than anything of Telegram's: many functions of the library, and of
// those to whom the value is passed on, need stack for each level.
nlohmann::json ParseJson(std::string& text);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_JSON_TEXT_H_
