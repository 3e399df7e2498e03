#include "server/access/authorization.h"

#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"

namespace userprofile::api {
namespace {

using ::testing::UnorderedElementsAreArray;

// All methods of all services in proto/.
std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  const std::filesystem::path root = USERPROFILE_PROTO_DIR;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".proto") continue;
    const std::string name = entry.path().lexically_relative(root);
    const auto* file =
        google::protobuf::DescriptorPool::generated_pool()->FindFileByName(
            name);
    if (file == nullptr) {
      ADD_FAILURE() << name << " is not linked into this test";
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
  for (const access::Permission& permission : access::Permissions()) {
    methods.emplace_back(permission.method);
  }
  EXPECT_THAT(methods, UnorderedElementsAreArray(AllMethods()));
}

TEST(AuthorizationTest, AnAdminMayCallEverything) {
  for (const access::Permission& permission : access::Permissions()) {
    EXPECT_TRUE(permission.roles.Has(v1::ROLE_ADMIN)) << permission.method;
  }
}

// By the standard verbs of those that read; but not of sessions, which are the
// bots' own.
TEST(AuthorizationTest, AReaderChangesNothing) {
  const std::string prefix = "/userprofile.v1.UserProfileService/";
  for (const access::Permission& permission : access::Permissions()) {
    const std::string method(permission.method);
    if (method.rfind(prefix, 0) != 0) continue;
    EXPECT_EQ(
        permission.roles.Has(v1::ROLE_READER),
        std::regex_match(method.substr(prefix.size()),
                         std::regex("(Batch)?GetProfile.*|Lookup.*|List.*|"
                                    "Count.*|Watch.*")))
        << method;
  }
}

TEST(AuthorizationTest, AnUnknownMethodHasNoPermission) {
  EXPECT_EQ(access::FindPermission("/userprofile.v1.UserProfileService/Drop"),
            nullptr);
  EXPECT_EQ(access::FindPermission(""), nullptr);
}

}  // namespace
}  // namespace userprofile::api
