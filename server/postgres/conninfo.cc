#include "server/postgres/conninfo.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <memory>

#include <libpq-fe.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace userprofile::postgres {
namespace {

using Settings = std::map<std::string, std::string>;

constexpr char kMask[] = "****";
constexpr char kDefaultPort[] = "5432";

// What other tools have in a connection string, and what to write here.
struct ForeignKey {
  const char* key;
  const char* advice;
};
constexpr char kSearchPath[] =
    "write options=-csearch_path%3DSCHEMA (in words: "
    "options='-csearch_path=SCHEMA')";
constexpr char kSslMode[] = "write sslmode=require, or sslmode=verify-full";
constexpr char kConnections[] =
    "leave it out; --read-connections and the like say how many";
constexpr char kLeaveOut[] = "leave it out, or write what libpq has for it";
constexpr ForeignKey kForeignKeys[] = {
    {"schema", kSearchPath},
    {"currentSchema", kSearchPath},
    {"search_path", kSearchPath},
    {"ssl", kSslMode},
    {"sslaccept", kSslMode},
    {"tls", kSslMode},
    {"user_name", "write user=NAME"},
    {"username", "write user=NAME"},
    {"database", "write dbname=NAME"},
    {"db", "write dbname=NAME"},
    {"connection_limit", kConnections},
    {"max_connections", kConnections},
    {"pool_size", kConnections},
    {"pgbouncer", kLeaveOut},
    {"max", kConnections},
};

const ForeignKey* FindForeignKey(absl::string_view key) {
  const auto* found = std::find_if(
      std::begin(kForeignKeys), std::end(kForeignKeys),
      [&](const ForeignKey& foreign) { return key == foreign.key; });
  return found == std::end(kForeignKeys) ? nullptr : found;
}

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

// Null for what libpq can't read; what it says of that would hold passwords.
Options ParseOptions(const std::string& conninfo) {
  return {PQconninfoParse(conninfo.c_str(), nullptr), &PQconninfoFree};
}

bool IsKey(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_';
  });
}

// Of an URL, what stands where libpq wants a key and is none; empty if that
// can't be told, or could be a part of a password with a "?" or "/" in it.
std::string UnknownKey(absl::string_view url) {
  const std::size_t question = url.find('?');
  if (question == absl::string_view::npos) return "";
  const absl::string_view parameters = url.substr(question + 1);
  if (absl::StrContains(parameters, '@')) return "";
  for (const absl::string_view parameter : absl::StrSplit(parameters, '&')) {
    const absl::string_view key = parameter.substr(0, parameter.find('='));
    if (!IsKey(key) || parameter == "ssl=true") continue;  // which libpq knows
    if (ParseOptions(absl::StrCat(key, "=''")) == nullptr) {
      return std::string(key);
    }
  }
  return "";
}

// The same for words: only what is known, for any other may be what follows a
// blank in a password.
std::string ForeignWord(absl::string_view words) {
  for (const absl::string_view word :
       absl::StrSplit(words, ' ', absl::SkipEmpty())) {
    const absl::string_view key = word.substr(0, word.find('='));
    if (key.size() < word.size() && FindForeignKey(key) != nullptr) {
      return std::string(key);
    }
  }
  return "";
}

// What is wrong with a string that libpq can't read.
std::string WhatIsWrong(absl::string_view conninfo) {
  absl::string_view rest = conninfo;
  const bool url = absl::ConsumePrefix(&rest, "postgresql://") ||
                   absl::ConsumePrefix(&rest, "postgres://");
  const std::size_t scheme_end = conninfo.find("://");
  const absl::string_view scheme = conninfo.substr(0, scheme_end);
  if (!url && scheme_end != absl::string_view::npos &&
      absl::StrContains(scheme, "postgres") &&
      std::all_of(scheme.begin(), scheme.end(), [](char c) {
        return absl::ascii_isalnum(c) || absl::StrContains("+:-.", c);
      })) {
    return absl::StrCat("it begins with \"", scheme,
                        "://\", as other tools want it: write "
                        "postgresql://");
  }
  const std::string key = url ? UnknownKey(rest) : ForeignWord(conninfo);
  if (!key.empty()) {
    const ForeignKey* foreign = FindForeignKey(key);
    return absl::StrCat("PostgreSQL has no setting \"", key, "\": ",
                        foreign != nullptr ? foreign->advice : kLeaveOut);
  }
  return absl::StrCat(
      "it must be a URL, postgresql://USER@HOST:PORT/DATABASE, or words as in "
      "\"host=HOST dbname=DATABASE\"",
      url ? "; in a URL, characters such as @ / ? # % of a password are "
            "written "
            "as %40 %2F %3F %23 %25"
          : "");
}

absl::StatusOr<Settings> Parse(const std::string& conninfo) {
  const Options options = ParseOptions(conninfo);
  if (options == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the database's connection string can't be read: ",
                     WhatIsWrong(conninfo)));
  }
  Settings settings;
  for (const auto* o = options.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) settings[o->keyword] = o->val;
  }
  return settings;
}

// What libpq takes for a setting that the connection string lacks; empty for
// its own default.
std::string FromEnvironment(const char* keyword) {
  const Options options = {PQconndefaults(), &PQconninfoFree};
  if (options == nullptr) return "";
  for (const auto* o = options.get(); o->keyword != nullptr; ++o) {
    if (absl::string_view(o->keyword) == keyword && o->val != nullptr) {
      return o->val;
    }
  }
  return "";
}

// A list as libpq takes it apart: none if there is no setting, one that is
// empty if it is.
std::vector<std::string> List(const Settings& settings, const char* keyword) {
  const auto found = settings.find(keyword);
  const std::string text =
      found == settings.end() ? FromEnvironment(keyword) : found->second;
  if (text.empty()) return {};
  return absl::StrSplit(text, ',');
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

absl::Status CheckConninfo(const std::string& conninfo) {
  return Parse(conninfo).status();
}

absl::StatusOr<std::string> WithDefaults(
    const std::string& conninfo,
    const std::vector<std::pair<std::string, std::string>>& defaults) {
  USERPROFILE_ASSIGN_OR_RETURN(Settings settings, Parse(conninfo));
  settings.insert(defaults.begin(), defaults.end());  // where there is none yet
  return Words(settings);
}

absl::StatusOr<std::vector<Host>> HostsOf(const std::string& conninfo) {
  USERPROFILE_ASSIGN_OR_RETURN(Settings settings, Parse(conninfo));
  // A service of PostgreSQL's own file can name hosts that only libpq sees.
  if (settings.contains("service") && !settings.contains("host") &&
      !settings.contains("hostaddr")) {
    return std::vector<Host>{{"the service's host", conninfo}};
  }
  const std::vector<std::string> names = List(settings, "host");
  const std::vector<std::string> addresses = List(settings, "hostaddr");
  const std::vector<std::string> ports = List(settings, "port");
  const auto count = std::max<std::size_t>({names.size(), addresses.size(), 1});
  if ((!names.empty() && names.size() != count) ||
      (!addresses.empty() && addresses.size() != count) ||
      (ports.size() > 1 && ports.size() != count)) {
    return absl::InvalidArgumentError(
        "the database's connection string must have as many of host, hostaddr "
        "and port, or one port for all");
  }
  std::vector<Host> hosts;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string port = ports.empty()       ? ""
                             : ports.size() == 1 ? ports[0]
                                                 : ports[i];
    Settings one = settings;
    if (!names.empty()) one["host"] = names[i];
    if (!addresses.empty()) one["hostaddr"] = addresses[i];
    if (!ports.empty()) one["port"] = port;
    one["target_session_attrs"] = "any";
    const std::string name = !names.empty()       ? names[i]
                             : !addresses.empty() ? addresses[i]
                                                  : "";
    hosts.push_back({absl::StrCat(name.empty() ? "localhost" : name, ":",
                                  port.empty() ? kDefaultPort : port),
                     Words(one)});
  }
  return hosts;
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
  // libpq's own variables (PGPASSFILE, ...), and where its files are.
  const auto password = settings.extract("password");
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (absl::StartsWith(*variable, "HOME=") ||
        (absl::StartsWith(*variable, "PG") &&
         (!password || !absl::StartsWith(*variable, "PGPASSWORD=")))) {
      result.environment.push_back(*variable);
    }
  }
  if (password) {
    result.environment.push_back(
        absl::StrCat("PGPASSWORD=", password.mapped()));
  }
  settings.insert(
      {{"target_session_attrs", "read-write"}, {"connect_timeout", "10"}});
  result.conninfo = Words(settings);
  return result;
}

}  // namespace userprofile::postgres
