#include "server/service/authorization.h"

namespace userprofile::service {
namespace {

constexpr Roles kBots = {Role::kBot, Role::kAdmin};
constexpr Roles kAll = {Role::kBot, Role::kReader, Role::kAdmin};

constexpr Permission kPermissions[] = {
    {"/userprofile.v1.UserProfileService/UpsertUser", kBots},
    {"/userprofile.v1.UserProfileService/GetProfile", kAll},
    {"/userprofile.v1.UserProfileService/CompleteOnboarding", kBots},
    {"/grpc.health.v1.Health/Check", kAll, Open::kToAll},
    {"/grpc.health.v1.Health/Watch", kAll, Open::kToAll},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kAll,
     Open::kOnLoopback},
};

}  // namespace

absl::Span<const Permission> Permissions() { return kPermissions; }

const Permission* FindPermission(absl::string_view method) {
  for (const Permission& permission : kPermissions) {
    if (permission.method == method) return &permission;
  }
  return nullptr;
}

}  // namespace userprofile::service
