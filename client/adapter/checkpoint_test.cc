#include "client/adapter/input.h"

#include <sys/stat.h>

#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace userprofile::adapter {
namespace {

using ::testing::HasSubstr;

class CheckpointTest : public ::testing::Test {
 protected:
  const testing::TempDir directory_;
  const std::string file_ = directory_ / "checkpoint";
};

TEST_F(CheckpointTest, ComesBackAsItWasSaved) {
  ASSERT_TRUE(SaveCheckpoint(file_, {7, 99}).ok());
  ASSERT_TRUE(SaveCheckpoint(file_, {1234567890123, absl::nullopt}).ok());
  const auto loaded = LoadCheckpoint(file_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->line, 1234567890123);
  EXPECT_FALSE(loaded->update_id);
}

TEST_F(CheckpointTest, NoFileIsTheBegin) {
  const auto loaded = LoadCheckpoint(file_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->line, 0);
}

TEST_F(CheckpointTest, WhatIsNoneIsAnError) {
  for (const char* text :
       {"", "x", "[]", "{}", R"({"line": -1})", R"({"line": "1"})",
        R"({"line": 1)", R"({"line": 18446744073709551615})",
        R"({"line": 1, "update_id": 9223372036854775808})",
        R"({"line": 1, "update_id": "7"})"}) {
    std::ofstream(file_) << text;
    EXPECT_THAT(std::string(LoadCheckpoint(file_).status().message()),
                HasSubstr("is no checkpoint"))
        << text;
  }
}

TEST_F(CheckpointTest, WhatIsNoFileIsRefused) {
  const std::string pipe = directory_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(LoadCheckpoint(pipe).ok());
  EXPECT_FALSE(LoadCheckpoint(directory_ / "").ok());
}

}  // namespace
}  // namespace userprofile::adapter
