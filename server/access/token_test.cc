#include "server/access/token.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::access {
namespace {

using ::testing::MatchesRegex;

TEST(TokenTest, IsLongAndNeverTheSame) {
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(*tokens.insert(NewToken()).first,
                MatchesRegex("up_[A-Za-z0-9_-]{43}"));
  }
  EXPECT_EQ(tokens.size(), 100U);
}

TEST(TokenTest, TheHashIsThatOfSha256sum) {
  const std::string hex =
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(ToHex(HashOf("abc")), hex);
  ASSERT_TRUE(ParseTokenHash(hex).has_value());
  EXPECT_TRUE(Equal(*ParseTokenHash(hex), HashOf("abc")));
  EXPECT_FALSE(Equal(*ParseTokenHash(hex), HashOf("abd")));
}

TEST(TokenTest, WhatIsNoHashIsNotTakenForOne) {
  for (const std::string& text :
       {std::string(), std::string(63, 'a'), std::string(65, 'a'),
        std::string(64, 'g'), NewToken()}) {
    EXPECT_FALSE(ParseTokenHash(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace userprofile::access
