#include "server/postgres/conninfo.h"

#include <map>
#include <memory>

#include <libpq-fe.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace userprofile::postgres {

absl::StatusOr<std::string> WithDefaults(
    const std::string& conninfo,
    const std::vector<std::pair<std::string, std::string>>& defaults) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(conninfo.c_str(), &error), &PQconninfoFree);
  PQfreemem(error);
  if (options == nullptr) {
    return absl::InvalidArgumentError(
        "the database's connection string can't be read: it must be a URL, "
        "postgresql://USER@HOST:PORT/DATABASE, or words as in \"host=HOST "
        "dbname=DATABASE\"");
  }
  std::map<std::string, std::string> settings(defaults.begin(), defaults.end());
  for (const auto* o = options.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) settings[o->keyword] = o->val;
  }
  std::string words;
  for (const auto& [key, value] : settings) {
    absl::StrAppend(&words, words.empty() ? "" : " ", key, "='",
                    absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}),
                    "'");
  }
  return words;
}

}  // namespace userprofile::postgres
