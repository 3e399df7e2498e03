#include "base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace userprofile::base {
namespace {

using ::testing::HasSubstr;

class ReadFileTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& content) {
    const std::string path = Path("file");
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  std::string Path(const std::string& name) { return dir_ / name; }

  userprofile::testing::TempDir dir_;
};

TEST_F(ReadFileTest, GivesEveryByte) {
  const std::string content("a\0b\n", 4);
  EXPECT_EQ(ReadFile(Write(content)).value(), content);
}

TEST_F(ReadFileTest, TellsNoFileFromAnEmptyOne) {
  EXPECT_TRUE(absl::IsNotFound(ReadFile(Path("none")).status()));
  EXPECT_EQ(ReadFile(Write("")).value(), "");
}

TEST_F(ReadFileTest, ReadsFilesOfTheKernelWhichHaveNoSize) {
  EXPECT_THAT(ReadFile("/proc/self/status").value(), HasSubstr("Pid:"));
}

TEST_F(ReadFileTest, RefusesADirectory) {
  const absl::Status status = ReadFile(dir_.path()).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("is a directory"));
}

TEST_F(ReadFileTest, DoesNotWaitForSomebodyToWriteIntoAFifo) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadFile(Path("fifo")).status()));
}

TEST_F(ReadFileTest, RefusesADevice) {
  EXPECT_TRUE(absl::IsInvalidArgument(ReadFile("/dev/zero").status()));
}

TEST_F(ReadFileTest, ReadsAMebibyteAndNoMore) {
  const std::string most(1024 * 1024, 'x');
  EXPECT_EQ(ReadFile(Write(most)).value(), most);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadFile(Write(most + "x")).status()));
}

TEST_F(ReadFileTest, SettingsMustBeThereAndHoldSomething) {
  EXPECT_TRUE(absl::IsInvalidArgument(ReadSettingsFile(Path("none")).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ReadSettingsFile(Write("")).status()));
  EXPECT_EQ(ReadSettingsFile(Write("x")).value(), "x");
}

}  // namespace
}  // namespace userprofile::base
