#include "base/replace_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "base/read_file.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace userprofile::base {
namespace {

class ReplaceFileTest : public ::testing::Test {
 protected:
  const testing::TempDir directory_;
  const std::string file_ = directory_ / "file";
};

TEST_F(ReplaceFileTest, IsNotWrittenThroughWhatStrangersPutThere) {
  const std::string other = directory_ / "other";
  for (const auto& make : {::symlink, ::link}) {
    std::ofstream(other) << "theirs";
    ASSERT_EQ(make(other.c_str(), (file_ + ".part").c_str()), 0);
    ASSERT_TRUE(ReplaceFile(file_, "old").ok());
    EXPECT_EQ(*ReadFile(file_), "old");
    EXPECT_EQ(*ReadFile(other), "theirs");
  }
}

TEST_F(ReplaceFileTest, NothingIsLeftWhenItCantBeWritten) {
  ASSERT_EQ(::mkdir(file_.c_str(), 0700), 0);
  EXPECT_FALSE(ReplaceFile(file_, "old").ok());
  EXPECT_NE(::access((file_ + ".part").c_str(), F_OK), 0);
}

TEST_F(ReplaceFileTest, TheOldOneStaysWhenTheNewOneCantBeWritten) {
  ASSERT_TRUE(ReplaceFile(file_, "old").ok());
  ASSERT_EQ(::mkdir((file_ + ".part").c_str(), 0700), 0);
  EXPECT_FALSE(ReplaceFile(file_, "new").ok());
  EXPECT_EQ(*ReadFile(file_), "old");
}

}  // namespace
}  // namespace userprofile::base
