#include "client/adapter/options.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace userprofile::adapter {
namespace {

constexpr char kVariable[] = "USERPROFILE_TEST_SECRET";

TEST(SecretTest, ComesFromTheFileElseFromTheEnvironment) {
  const testing::TempDir directory;
  const std::string file = directory / "secret";
  std::ofstream(file) << " in-file\n";
  ::setenv(kVariable, "in-environment", 1);
  EXPECT_EQ(*ReadSecret(file, kVariable), "in-file");
  EXPECT_EQ(*ReadSecret("", kVariable), "in-environment");
  ::unsetenv(kVariable);
  EXPECT_EQ(ReadSecret("", kVariable).status().message(),
            "USERPROFILE_TEST_SECRET is not set");
}

TEST(SecretTest, NoFileAndAnEmptyFileAreErrors) {
  const testing::TempDir directory;
  std::ofstream(directory / "empty") << "\n";
  EXPECT_TRUE(absl::IsInvalidArgument(
      ReadSecret(directory / "empty", kVariable).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      ReadSecret(directory / "none", kVariable).status()));
}

TEST(SecretTest, ComparesWholeTexts) {
  EXPECT_TRUE(SecretsEqual("abc", "abc"));
  for (const char* other : {"", "ab", "abd", "abcd", "ABC"}) {
    EXPECT_FALSE(SecretsEqual("abc", other)) << other;
  }
}

}  // namespace
}  // namespace userprofile::adapter
