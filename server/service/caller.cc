#include "server/service/caller.h"

#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace userprofile::service {
namespace {

// Owns nothing, so that a call need not count its copies.
std::shared_ptr<const Caller> Forever(const Caller& caller) {
  return {std::shared_ptr<const Caller>(), &caller};
}

}  // namespace

std::string NamesOf(Roles roles) {
  std::vector<absl::string_view> names;
  if (roles.Has(Role::kBot)) names.push_back("bot");
  if (roles.Has(Role::kReader)) names.push_back("reader");
  if (roles.Has(Role::kAdmin)) names.push_back("admin");
  return absl::StrJoin(names, ", ");
}

std::shared_ptr<const Caller> AnybodyTrusted() {
  static const auto& caller =
      *new Caller{"anonymous", {Role::kBot, Role::kReader, Role::kAdmin}, true};
  return Forever(caller);
}

std::shared_ptr<const Caller> UnknownCaller() {
  static const auto& caller = *new Caller{"anonymous", {}, false};
  return Forever(caller);
}

}  // namespace userprofile::service
