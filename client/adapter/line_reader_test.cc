#include "client/adapter/input.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/adapter/testing.h"

namespace userprofile::adapter {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::size_t kMaxLength = 100;

std::vector<std::string> Lines(const std::string& content) {
  const InputFile file(content);
  const StopEvent stop;
  LineReader reader(file.fd(), stop, kMaxLength);
  std::vector<std::string> lines;
  while (const auto line = reader.Next()) {
    EXPECT_EQ(line->number, static_cast<std::int64_t>(lines.size()) + 1);
    lines.push_back(line->too_long ? "(too long)" : line->text);
  }
  EXPECT_TRUE(reader.status().ok()) << reader.status();
  return lines;
}

TEST(LineReaderTest, GivesEveryLine) {
  EXPECT_THAT(Lines("a\n\nb\r\n"), ElementsAre("a", "", "b\r"));
}

TEST(LineReaderTest, LastLineMayLackItsEnd) {
  EXPECT_THAT(Lines("a\nb"), ElementsAre("a", "b"));
}

TEST(LineReaderTest, EmptyInputHasNoLines) {
  EXPECT_THAT(Lines(""), IsEmpty());
}

TEST(LineReaderTest, BytesOfAnyValueArePassedOn) {
  const std::string bytes("\0\xff\x80", 3);
  EXPECT_THAT(Lines(bytes + "\n"), ElementsAre(bytes));
}

TEST(LineReaderTest, LineTooLongIsReadPast) {
  const std::string longest(kMaxLength, 'x');
  const std::string huge(10 * 1024 * 1024, 'x');
  EXPECT_THAT(
      Lines(longest + "\n" + longest + "x\nb\n" + huge + "\nc\n" + huge),
      ElementsAre(longest, "(too long)", "b", "(too long)", "c", "(too long)"));
}

TEST(LineReaderTest, LinesLongerThanOneReadAreWhole) {
  const std::string line(1000 * 1000, 'x');
  const InputFile file(line + "\n" + line + "\n");
  const StopEvent stop;
  LineReader reader(file.fd(), stop, line.size());
  EXPECT_EQ(reader.Next()->text, line);
  EXPECT_EQ(reader.Next()->text, line);
  EXPECT_FALSE(reader.Next());
}

TEST(LineReaderTest, StopEndsTheWaitForInput) {
  InputPipe pipe;
  StopEvent stop;
  pipe.Write("a\nunfinished");
  LineReader reader(pipe.fd(), stop, kMaxLength);
  EXPECT_EQ(reader.Next()->text, "a");
  std::thread stopper([&] { stop.Set(); });
  EXPECT_FALSE(reader.Next());
  stopper.join();
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kCancelled);
}

TEST(LineReaderTest, StopEndsTheReadingOfWhatIsThere) {
  const InputFile file("a\nb\n");
  StopEvent stop;
  LineReader reader(file.fd(), stop, kMaxLength);
  EXPECT_EQ(reader.Next()->text, "a");
  stop.Set();
  EXPECT_FALSE(reader.Next());
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kCancelled);
}

TEST(LineReaderTest, InputThatWouldBlockIsWaitedFor) {
  InputPipe pipe;
  ASSERT_EQ(::fcntl(pipe.fd(), F_SETFL, O_NONBLOCK), 0);
  const StopEvent stop;
  LineReader reader(pipe.fd(), stop, kMaxLength);
  std::thread writer([&] { pipe.Write("a\n"); });
  EXPECT_EQ(reader.Next()->text, "a");
  writer.join();
}

TEST(LineReaderTest, DirectoryIsAnError) {
  const int fd = ::open("/", O_RDONLY | O_DIRECTORY);
  const StopEvent stop;
  LineReader reader(fd, stop, kMaxLength);
  EXPECT_FALSE(reader.Next());
  EXPECT_EQ(reader.status().message(),
            "the input can't be read: Is a directory");
  ::close(fd);
}

}  // namespace
}  // namespace userprofile::adapter
