#include "server/access/authorization.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::access {
namespace {

std::vector<Permission> MakePermissions() {
  constexpr Roles kAll = {v1::ROLE_BOT, v1::ROLE_READER, v1::ROLE_ADMIN};
  std::vector<Permission> permissions = {
      {"/grpc.health.v1.Health/Check", kAll, Open::kToAll},
      {"/grpc.health.v1.Health/Watch", kAll, Open::kToAll},
      {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kAll,
       Open::kOnLoopback},
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
