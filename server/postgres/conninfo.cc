#include "server/postgres/conninfo.h"

#include <unistd.h>

#include <map>
#include <memory>

#include <libpq-fe.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"

namespace userprofile::postgres {
namespace {

using Settings = std::map<std::string, std::string>;

constexpr char kMask[] = "****";

absl::StatusOr<Settings> Parse(const std::string& conninfo) {
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
  Settings settings;
  for (const auto* o = options.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) settings[o->keyword] = o->val;
  }
  return settings;
}

std::string Words(const Settings& settings) {
  std::string words;
  for (const auto& [key, value] : settings) {
    absl::StrAppend(&words, words.empty() ? "" : " ", key, "='",
                    absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}),
                    "'");
  }
  return words;
}

}  // namespace

absl::StatusOr<std::string> WithDefaults(
    const std::string& conninfo,
    const std::vector<std::pair<std::string, std::string>>& defaults) {
  USERPROFILE_ASSIGN_OR_RETURN(Settings settings, Parse(conninfo));
  settings.insert(defaults.begin(), defaults.end());  // where there is none yet
  return Words(settings);
}

std::string Masked(const std::string& conninfo) {
  absl::StatusOr<Settings> settings = Parse(conninfo);
  if (!settings.ok()) return kMask;
  for (const char* key : {"password", "sslpassword"}) {
    const auto found = settings->find(key);
    if (found != settings->end()) found->second = kMask;
  }
  return Words(*settings);
}

absl::StatusOr<ProgramConnection> ForProgram(const std::string& conninfo) {
  USERPROFILE_ASSIGN_OR_RETURN(Settings settings, Parse(conninfo));
  if (settings.contains("sslpassword")) {
    return absl::InvalidArgumentError(
        "PostgreSQL's programs can't be given an sslpassword without showing "
        "it: use a client key without one for this");
  }
  ProgramConnection result;
  // Before a PGPASSWORD of ours, for the first one counts.
  if (const auto password = settings.find("password");
      password != settings.end()) {
    result.environment.push_back(absl::StrCat("PGPASSWORD=", password->second));
    settings.erase(password);
  }
  // libpq's own variables (PGPASSFILE, ...), and where its files are.
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (absl::StartsWith(*variable, "PG") ||
        absl::StartsWith(*variable, "HOME=")) {
      result.environment.push_back(*variable);
    }
  }
  // The server that sessions use, of several that are given: not a standby.
  settings.insert(
      {{"target_session_attrs", "read-write"}, {"connect_timeout", "10"}});
  result.conninfo = Words(settings);
  return result;
}

}  // namespace userprofile::postgres
