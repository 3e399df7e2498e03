#include "client/adapter/turns.h"

#include <functional>
#include <string>

#include <gtest/gtest.h>

namespace userprofile::adapter {
namespace {

class TurnsTest : public ::testing::Test {
 protected:
  void Take(absl::optional<std::int64_t> user, char name) {
    turns_.Take(user, [this, name] { begun_ += name; });
  }

  Turns turns_;
  std::string begun_;
};

TEST_F(TurnsTest, AUserHasOneTurnAtATimeInTheOrderOfTaking) {
  for (const char name : {'a', 'b', 'c'}) Take(1, name);
  EXPECT_EQ(begun_, "a");
  turns_.GiveUp(1);
  EXPECT_EQ(begun_, "ab");
  turns_.GiveUp(1);
  turns_.GiveUp(1);
  Take(1, 'd');
  EXPECT_EQ(begun_, "abcd");
}

TEST_F(TurnsTest, OthersAndWhatIsOfNobodyDoNotWait) {
  Take(1, 'a');
  Take(2, 'b');
  Take(absl::nullopt, 'c');
  Take(absl::nullopt, 'd');
  EXPECT_EQ(begun_, "abcd");
  turns_.GiveUp(absl::nullopt);
}

}  // namespace
}  // namespace userprofile::adapter
