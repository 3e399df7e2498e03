#ifndef USERPROFILE_SERVER_SERVICE_LANGUAGE_TAG_H_
#define USERPROFILE_SERVER_SERVICE_LANGUAGE_TAG_H_

#include "absl/strings/string_view.h"

namespace userprofile::service {

// Whether `tag` is well-formed by the grammar of BCP 47 (RFC 5646, section
// 2.1), such as "fa", "pt-BR" or "zh-Hant-TW". Whether its subtags are
// registered is not asked: registries grow.
//
// Written here, and not left to ICU, which quietly ignores a tag from the first
// subtag on that it does not like, and builds a locale on the way.
bool IsWellFormedLanguageTag(absl::string_view tag);

}  // namespace userprofile::service

#endif  // USERPROFILE_SERVER_SERVICE_LANGUAGE_TAG_H_
