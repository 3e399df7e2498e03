#include "server/access/authorization.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::access {
namespace {

constexpr char kPrefix[] = "ROLE_";
constexpr Roles kEveryRole = {v1::ROLE_BOT, v1::ROLE_READER, v1::ROLE_ADMIN};

// Owns nothing, so that a call need not count its copies.
std::shared_ptr<const Caller> Forever(const Caller& caller) {
  return {std::shared_ptr<const Caller>(), &caller};
}

std::vector<Permission> MakePermissions() {
  std::vector<Permission> permissions = {
      {"/grpc.health.v1.Health/Check", kEveryRole, Open::kToAll},
      {"/grpc.health.v1.Health/Watch", kEveryRole, Open::kToAll},
      {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
       kEveryRole, Open::kOnLoopback},
  };
  const auto* file = v1::Profile::descriptor()->file();
  for (int i = 0; i < file->service_count(); ++i) {
    const auto& service = *file->service(i);
    for (int j = 0; j < service.method_count(); ++j) {
      const auto& method = *service.method(j);
      Roles roles = {v1::ROLE_ADMIN};
      for (const int role : method.options().GetRepeatedExtension(v1::roles)) {
        roles.Add(static_cast<v1::Role>(role));
      }
      permissions.push_back(
          {absl::StrCat("/", service.full_name(), "/", method.name()), roles});
    }
  }
  return permissions;
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

const std::vector<Permission>& Permissions() {
  static const auto& permissions =
      *new std::vector<Permission>(MakePermissions());
  return permissions;
}

const Permission* FindPermission(absl::string_view method) {
  for (const Permission& permission : Permissions()) {
    if (permission.method == method) return &permission;
  }
  return nullptr;
}

}  // namespace userprofile::access
