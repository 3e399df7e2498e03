#include "server/access/callers.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace userprofile::access {
namespace {

using Json = nlohmann::json;

// Each call compares with them all.
constexpr std::size_t kMostTokens = 1000;

template <typename... Texts>
absl::Status Refuse(const Texts&... texts) {
  return absl::InvalidArgumentError(absl::StrCat(texts...));
}

// Refuses an object that has a key twice; the library would take the last.
class DuplicateFinder {
 public:
  bool operator()(int depth, Json::parse_event_t event, Json& value) {
    const auto level = static_cast<std::size_t>(depth);
    if (event == Json::parse_event_t::object_start) {
      keys_.resize(level + 2);
      keys_[level + 1].clear();
    } else if (event == Json::parse_event_t::key &&
               !keys_[level].insert(value.get<std::string>()).second) {
      found_ = value.get<std::string>();
    }
    return true;
  }

  const std::string& found() const { return found_; }

 private:
  std::vector<std::set<std::string>> keys_;
  std::string found_;
};

absl::StatusOr<Json> ParseJson(absl::string_view text) {
  DuplicateFinder duplicates;
  try {
    Json json = Json::parse(text.begin(), text.end(), std::ref(duplicates));
    if (duplicates.found().empty()) return json;
  } catch (const Json::exception& error) {
    const auto* const parse = dynamic_cast<const Json::parse_error*>(&error);
    return Refuse(
        "is not JSON",
        parse == nullptr ? "" : absl::StrCat(", near byte ", parse->byte));
  }
  return Refuse("has \"", duplicates.found(), "\" twice in one object");
}

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= 63 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) ||
                  c == '.' || c == '_' || c == '-';
         });
}

absl::Status CheckFields(const std::string& where, const Json& object,
                         std::initializer_list<absl::string_view> allowed) {
  if (!object.is_object()) return Refuse(where, " is not an object");
  for (const auto& [key, value] : object.items()) {
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
      return Refuse(where, " has no field \"", key, "\"; it has ",
                    absl::StrJoin(allowed, ", "));
    }
  }
  return absl::OkStatus();
}

// A list of strings; absent means empty.
absl::StatusOr<std::vector<std::string>> Strings(const std::string& where,
                                                 const Json& object,
                                                 const char* field) {
  const auto list = object.find(field);
  if (list == object.end()) return std::vector<std::string>();
  if (!list->is_array() ||
      !std::all_of(list->begin(), list->end(),
                   [](const Json& item) { return item.is_string(); })) {
    return Refuse(where, ".", field, " is not a list of strings");
  }
  return list->get<std::vector<std::string>>();
}

absl::StatusOr<Roles> ParseRoles(const std::string& where,
                                 const std::vector<std::string>& names) {
  Roles roles = {};
  for (const std::string& name : names) {
    const absl::optional<v1::Role> role = ParseRole(name);
    if (!role) {
      return Refuse(where, ".roles: \"", name,
                    "\" is none; roles are bot, reader and admin");
    }
    roles.Add(*role);
  }
  if (roles.empty()) {
    return Refuse(where, ".roles: at least one of bot, reader and admin");
  }
  return roles;
}

}  // namespace

// Adds one caller after the other.
class Callers::Parser {
 public:
  absl::Status Add(const std::string& where, const Json& json);
  Callers Finish() { return std::move(callers_); }

 private:
  absl::Status AddToken(const std::string& where, const std::string& hex,
                        const std::shared_ptr<const Caller>& caller);
  absl::Status AddSan(const std::string& where, const std::string& san,
                      const std::shared_ptr<const Caller>& caller);

  Callers callers_;
};

absl::Status Callers::Parser::Add(const std::string& where, const Json& json) {
  USERPROFILE_RETURN_IF_ERROR(CheckFields(
      where, json,
      {"name", "roles", "pii", "token_sha256", "certificate_sans"}));
  auto caller = std::make_shared<Caller>();
  const auto name = json.find("name");
  if (name == json.end() || !name->is_string() ||
      !IsName(name->get<std::string>())) {
    return Refuse(where, R"(.name: 1 to 63 of a-z, 0-9, ".", "_" and "-")");
  }
  caller->name = name->get<std::string>();
  if (caller->name == UnknownCaller()->name) {
    return Refuse(where, ".name: \"", caller->name,
                  "\" is what callers that are not known are called");
  }
  USERPROFILE_ASSIGN_OR_RETURN(const auto roles, Strings(where, json, "roles"));
  USERPROFILE_ASSIGN_OR_RETURN(caller->roles, ParseRoles(where, roles));
  const auto pii = json.find("pii");
  if (pii != json.end() && !pii->is_boolean()) {
    return Refuse(where, ".pii is neither true nor false");
  }
  const bool needs_pii = caller->roles.HasAnyOf({v1::ROLE_BOT, v1::ROLE_ADMIN});
  caller->pii = pii == json.end() ? needs_pii : pii->get<bool>();
  if (needs_pii && !caller->pii) {
    return Refuse(where,
                  ".pii: bots and admins get personal data; leave out \"pii\", "
                  "or give the role reader alone");
  }
  if (!callers_.names_.emplace(caller->name, caller).second) {
    return Refuse(where, ".name: there are two callers \"", caller->name, "\"");
  }
  USERPROFILE_ASSIGN_OR_RETURN(const auto hashes,
                               Strings(where, json, "token_sha256"));
  for (const std::string& hex : hashes) {
    USERPROFILE_RETURN_IF_ERROR(AddToken(where, hex, caller));
  }
  USERPROFILE_ASSIGN_OR_RETURN(const auto sans,
                               Strings(where, json, "certificate_sans"));
  for (const std::string& san : sans) {
    USERPROFILE_RETURN_IF_ERROR(AddSan(where, san, caller));
  }
  return absl::OkStatus();
}

absl::Status Callers::Parser::AddToken(
    const std::string& where, const std::string& hex,
    const std::shared_ptr<const Caller>& caller) {
  // What is no hash may be a token: no error shows it.
  const absl::optional<TokenHash> hash = ParseTokenHash(hex);
  if (!hash) {
    return Refuse(where,
                  ".token_sha256: a hash is 64 hexadecimal digits, as "
                  "`userprofile-server token create` prints them");
  }
  if (*hash == HashOf("")) {
    return Refuse(where, ".token_sha256: this is the hash of nothing");
  }
  for (const Token& other : callers_.tokens_) {
    if (!Equal(other.hash, *hash)) continue;
    return Refuse(where, ".token_sha256: \"", other.caller->name,
                  "\" has the same token");
  }
  if (callers_.tokens_.size() == kMostTokens) {
    return Refuse(where, ".token_sha256: more than ", kMostTokens,
                  " tokens in all");
  }
  callers_.tokens_.push_back({*hash, caller});
  return absl::OkStatus();
}

absl::Status Callers::Parser::AddSan(
    const std::string& where, const std::string& san,
    const std::shared_ptr<const Caller>& caller) {
  if (!(absl::StartsWith(san, "DNS:") || absl::StartsWith(san, "URI:")) ||
      san.size() == 4) {
    return Refuse(where, ".certificate_sans: \"", san,
                  "\" does not begin with DNS: or URI:");
  }
  const auto [it, added] = callers_.sans_.emplace(san, caller);
  if (!added) {
    return Refuse(where, ".certificate_sans: \"", it->second->name, "\" has ",
                  san, " too");
  }
  return absl::OkStatus();
}

absl::StatusOr<Callers> Callers::Parse(absl::string_view text) {
  USERPROFILE_ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  USERPROFILE_RETURN_IF_ERROR(CheckFields("the file", json, {"callers"}));
  const auto list = json.find("callers");
  if (list == json.end() || !list->is_array()) {
    return Refuse("the file has no list \"callers\"");
  }
  Parser parser;
  for (std::size_t i = 0; i < list->size(); ++i) {
    USERPROFILE_RETURN_IF_ERROR(
        parser.Add(absl::StrCat("callers[", i, "]"), (*list)[i]));
  }
  return parser.Finish();
}

std::shared_ptr<const Caller> Callers::FindByToken(
    absl::string_view token) const {
  const TokenHash hash = HashOf(token);
  const Token* found = nullptr;
  for (const Token& known : tokens_) {
    if (Equal(known.hash, hash)) found = &known;
  }
  return found == nullptr ? nullptr : found->caller;
}

std::shared_ptr<const Caller> Callers::FindBySan(const std::string& san) const {
  const auto found = sans_.find(san);
  return found == sans_.end() ? nullptr : found->second;
}

}  // namespace userprofile::access
