#include "client/adapter/dead_letters.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/read_file.h"
#include "client/adapter/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"

namespace userprofile::adapter {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DeadLettersTest : public ::testing::Test {
 protected:
  void Add(const std::string& update) {
    const auto letters = DeadLetters::Open(file_);
    ASSERT_TRUE(letters.ok()) << letters.status();
    EXPECT_TRUE((*letters)->Add(update).ok());
  }

  absl::StatusOr<std::unique_ptr<DeadLetterSource>> Read() {
    return DeadLetterSource::Read(file_, stop_);
  }

  std::vector<std::int64_t> Get(
      DeadLetterSource& source,
      absl::optional<std::int64_t> offset = absl::nullopt) {
    std::vector<std::int64_t> ids;
    const auto updates =
        source.GetUpdates(offset, absl::ZeroDuration(), nullptr);
    for (const auto& update : *updates) ids.push_back(update["update_id"]);
    return ids;
  }

  userprofile::testing::TempDir directory_;
  const std::string file_ = directory_ / "letters";
  StopEvent stop_;
};

TEST_F(DeadLettersTest, AreKeptForTheOwnerAlone) {
  Add(MessageOf(1, 11));
  Add(MessageOf(2, 12));
  struct stat status;
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(*base::ReadFile(file_),
            absl::StrCat(MessageOf(1, 11), "\n", MessageOf(2, 12), "\n"));
}

TEST_F(DeadLettersTest, SaysWhatCantBeOpened) {
  const auto letters = DeadLetters::Open(directory_ / "none/letters");
  EXPECT_TRUE(absl::IsInvalidArgument(letters.status()));
  EXPECT_THAT(std::string(letters.status().message()),
              HasSubstr("No such file"));
}

TEST_F(DeadLettersTest, OnlyARegularFileKeepsThem) {
  for (const char* other : {"/dev/full", "/dev/null", "/tmp"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DeadLetters::Open(other).status()))
        << other;
  }
}

TEST_F(DeadLettersTest, MayBeMovedAwayAtAnyTime) {
  const auto letters = *DeadLetters::Open(file_);
  EXPECT_TRUE(letters->Add(MessageOf(1, 11)).ok());
  ASSERT_EQ(::rename(file_.c_str(), (file_ + ".moved").c_str()), 0);
  EXPECT_TRUE(letters->Add(MessageOf(2, 12)).ok());
  EXPECT_EQ(*base::ReadFile(file_), MessageOf(2, 12) + "\n");
}

TEST_F(DeadLettersTest, ThatNoneCanBeAddedIsAnError) {
  const std::string folder = directory_ / "folder";
  ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
  const auto letters = *DeadLetters::Open(folder + "/letters");
  ASSERT_EQ(::unlink((folder + "/letters").c_str()), 0);
  ASSERT_EQ(::rmdir(folder.c_str()), 0);
  EXPECT_TRUE(absl::IsUnavailable(letters->Add("{}")));
}

TEST_F(DeadLettersTest, HalfALineThatACrashLeftSpoilsNoOther) {
  Add(MessageOf(1, 11));
  std::ofstream(file_, std::ios::app) << R"({"update_id":12,"mess)";
  Add(MessageOf(3, 13));
  auto source = *Read();
  EXPECT_THAT(Get(*source), ElementsAre(11, 13));
  EXPECT_EQ(source->unreadable(), 1);
}

TEST_F(DeadLettersTest, ComeAsTelegramGivesUpdates) {
  for (int id = 1; id <= 150; ++id) Add(MessageOf(id, id));
  auto source = *Read();
  EXPECT_EQ(source->size(), 150u);
  EXPECT_EQ(Get(*source).size(), 100u);
  EXPECT_EQ(Get(*source, 101).front(), 101);
  EXPECT_EQ(Get(*source, 101).size(), 50u);
  EXPECT_FALSE(source->ended());
  EXPECT_THAT(Get(*source, 151), IsEmpty());
  EXPECT_TRUE(source->ended());
}

// Those of one day's end, and of the next day's begin.
TEST_F(DeadLettersTest, IdsThatGoBackComeOnceThoseBeforeAreDone) {
  for (const int id : {7, 9, 8, 8}) Add(MessageOf(id, id));
  auto source = *Read();
  EXPECT_THAT(Get(*source), ElementsAre(7, 9));
  EXPECT_THAT(Get(*source, 9), ElementsAre(9));
  EXPECT_THAT(Get(*source, 10), IsEmpty());
  EXPECT_THAT(Get(*source), ElementsAre(8));
  EXPECT_THAT(Get(*source, 9), IsEmpty());
  EXPECT_FALSE(source->ended());
  EXPECT_THAT(Get(*source), ElementsAre(8));
  EXPECT_THAT(Get(*source, 9), IsEmpty());
  EXPECT_TRUE(source->ended());
}

TEST_F(DeadLettersTest, WhatCantBeReadIsAnError) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      DeadLetterSource::Read(directory_ / "none", stop_).status()));
}

}  // namespace
}  // namespace userprofile::adapter
