#include "client/telegram/acceptable_text.h"

#include <string>

#include <gtest/gtest.h>

namespace userprofile::telegram {
namespace {

std::string Repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(AcceptableNameTest, LeavesNamesOfAllScriptsAlone) {
  for (const char* name :
       {"", "Ada", "\xd8\xb3\xd8\xa7\xd8\xb1\xd8\xa7", "\xc2\xa0", "\xc3\x80",
        "\xe2\x80\x8c", "\xf0\x9f\x91\x8d", " "}) {
    EXPECT_EQ(AcceptableName(name), name);
  }
}

TEST(AcceptableNameTest, DropsControlCharacters) {
  EXPECT_EQ(AcceptableName(std::string("A\0d\x1f\x7f"
                                       "a\n",
                                       7)),
            "Ada");
  EXPECT_EQ(AcceptableName("\xc2\x80"
                           "Ada\xc2\x9f"),
            "Ada");
  EXPECT_EQ(AcceptableName("\r\n"), "");
}

TEST(AcceptableNameTest, CutsAt256CodePoints) {
  for (const char* letter : {"a", "\xd8\xb3", "\xf0\x9f\x91\x8d"}) {
    EXPECT_EQ(AcceptableName(Repeat(letter, 256)), Repeat(letter, 256));
    EXPECT_EQ(AcceptableName(Repeat(letter, 257)), Repeat(letter, 256));
    EXPECT_EQ(AcceptableName("\n" + Repeat(letter, 9999)), Repeat(letter, 256));
  }
}

TEST(AcceptableUsernameTest, IsOneThatNeedsNoChange) {
  for (const std::string& username :
       {std::string(), std::string("ada_1"), Repeat("\xd8\xb3", 64)}) {
    EXPECT_TRUE(IsAcceptableUsername(username)) << username;
  }
  for (const std::string& username :
       {Repeat("a", 65), std::string("ada\n"), std::string(1, '\0')}) {
    EXPECT_FALSE(IsAcceptableUsername(username)) << username;
  }
}

TEST(AcceptableLanguageCodeTest, IsAWellFormedTag) {
  for (const char* code :
       {"fa", "en", "EN", "pt-br", "pt-BR", "zh-hans", "zh-Hant-TW", "es-419",
        "sl-rozaj-biske", "de-CH-1901", "zh-cmn-Hans-CN", "fa-raw", "abcdefgh",
        "en-a-myext-b-another", "de-x-private", "x-a-b-c", "en-a-aa-x-1",
        "en-a-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaa"}) {
    EXPECT_TRUE(IsAcceptableLanguageCode(code)) << code;
  }
  for (const char* code : {"",
                           "a",
                           "12",
                           "abcdefghi",
                           "-",
                           "en-",
                           "-en",
                           "en--US",
                           "en_US",
                           "en US",
                           "en-US ",
                           "en-US\n",
                           "C.UTF-8",
                           "fa\xd8\xa7",
                           "en-a",
                           "en-x",
                           "x",
                           "en-x-123456789",
                           "en-US-GB",
                           "classic-zh-cn",
                           "abcd-abc",
                           "zh-aaa-bbb-ccc-ddd",
                           "en-a-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaaa"}) {
    EXPECT_FALSE(IsAcceptableLanguageCode(code)) << code;
  }
}

}  // namespace
}  // namespace userprofile::telegram
