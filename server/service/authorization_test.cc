#include "server/service/authorization.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "grpc/health/v1/health.pb.h"
#include "gtest/gtest.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::service {
namespace {

using ::testing::UnorderedElementsAreArray;

// All methods of all services in the same files as those that the server has.
std::vector<std::string> MethodsOfTheServer() {
  std::vector<std::string> methods;
  for (const char* file_of :
       {"userprofile.v1.UserProfileService", "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection"}) {
    const auto* file = google::protobuf::DescriptorPool::generated_pool()
                           ->FindFileContainingSymbol(file_of);
    if (file == nullptr) {
      ADD_FAILURE() << file_of;
      continue;
    }
    for (int i = 0; i < file->service_count(); ++i) {
      const auto* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) {
        methods.push_back(absl::StrCat("/", service->full_name(), "/",
                                       service->method(j)->name()));
      }
    }
  }
  return methods;
}

TEST(AuthorizationTest, TheTableHasEveryMethodOnce) {
  std::vector<std::string> methods;
  for (const Permission& permission : Permissions()) {
    methods.emplace_back(permission.method);
  }
  EXPECT_THAT(methods, UnorderedElementsAreArray(MethodsOfTheServer()));
}

TEST(AuthorizationTest, AnAdminMayCallEverything) {
  for (const Permission& permission : Permissions()) {
    EXPECT_TRUE(permission.roles.Has(Role::kAdmin)) << permission.method;
  }
}

TEST(AuthorizationTest, AReaderChangesNothing) {
  for (const char* method : {"UpsertUser", "CompleteOnboarding"}) {
    const Permission* permission = FindPermission(
        absl::StrCat("/userprofile.v1.UserProfileService/", method));
    ASSERT_NE(permission, nullptr);
    EXPECT_FALSE(permission->roles.Has(Role::kReader)) << method;
  }
}

TEST(AuthorizationTest, AnUnknownMethodHasNoPermission) {
  EXPECT_EQ(FindPermission("/userprofile.v1.UserProfileService/Drop"), nullptr);
  EXPECT_EQ(FindPermission(""), nullptr);
}

}  // namespace
}  // namespace userprofile::service
