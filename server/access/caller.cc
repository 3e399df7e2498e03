#include "server/access/caller.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace userprofile::access {
namespace {

constexpr char kPrefix[] = "ROLE_";
constexpr Roles kEveryRole = {v1::ROLE_BOT, v1::ROLE_READER, v1::ROLE_ADMIN};

// Owns nothing, so that a call need not count its copies.
std::shared_ptr<const Caller> Forever(const Caller& caller) {
  return {std::shared_ptr<const Caller>(), &caller};
}

}  // namespace

std::string NamesOf(Roles roles) {
  std::vector<std::string> names;
  for (int role = v1::Role_MIN + 1; role <= v1::Role_MAX; ++role) {
    if (!roles.Has(static_cast<v1::Role>(role))) continue;
    names.push_back(absl::AsciiStrToLower(absl::StripPrefix(
        v1::Role_Name(static_cast<v1::Role>(role)), kPrefix)));
  }
  return absl::StrJoin(names, ", ");
}

absl::optional<v1::Role> ParseRole(absl::string_view name) {
  v1::Role role = v1::ROLE_UNSPECIFIED;
  if (name != absl::AsciiStrToLower(name) ||
      !v1::Role_Parse(absl::StrCat(kPrefix, absl::AsciiStrToUpper(name)),
                      &role) ||
      role == v1::ROLE_UNSPECIFIED) {
    return absl::nullopt;
  }
  return role;
}

std::shared_ptr<const Caller> AnybodyTrusted() {
  static const auto& caller = *new Caller{"anonymous", kEveryRole, true};
  return Forever(caller);
}

std::shared_ptr<const Caller> UnknownCaller() {
  static const auto& caller = *new Caller{"anonymous", {}, false};
  return Forever(caller);
}

}  // namespace userprofile::access
