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

TEST(AcceptableTextTest, LeavesNamesOfAllScriptsAlone) {
  for (const char* name :
       {"", "Ada", "\xd8\xb3\xd8\xa7\xd8\xb1\xd8\xa7", "\xc2\xa0", "\xc3\x80",
        "\xe2\x80\x8c", "\xf0\x9f\x91\x8d", " "}) {
    EXPECT_EQ(AcceptableText("first_name", name), name);
  }
}

TEST(AcceptableTextTest, DropsControlCharacters) {
  EXPECT_EQ(AcceptableText("first_name", std::string("A\0d\x1f\x7f"
                                                     "a\n",
                                                     7)),
            "Ada");
  EXPECT_EQ(AcceptableText("first_name",
                           "\xc2\x80"
                           "Ada\xc2\x9f"),
            "Ada");
  EXPECT_EQ(AcceptableText("first_name", "\r\n"), "");
}

TEST(AcceptableTextTest, CutsNamesAt256CodePoints) {
  for (const char* letter : {"a", "\xd8\xb3", "\xf0\x9f\x91\x8d"}) {
    EXPECT_EQ(AcceptableText("first_name", Repeat(letter, 256)),
              Repeat(letter, 256));
    EXPECT_EQ(AcceptableText("first_name", Repeat(letter, 257)),
              Repeat(letter, 256));
    EXPECT_EQ(AcceptableText("first_name", "\n" + Repeat(letter, 9999)),
              Repeat(letter, 256));
  }
}

TEST(AcceptableTextTest, AUsernameIsSentAsItIsOrNotAtAll) {
  for (const std::string& username :
       {std::string(), std::string("ada_1"), Repeat("\xd8\xb3", 64)}) {
    EXPECT_EQ(AcceptableText("username", username), username);
  }
  for (const std::string& username :
       {Repeat("a", 65), std::string("ada\n"), std::string(1, '\0')}) {
    EXPECT_EQ(AcceptableText("username", username), absl::nullopt);
  }
}

TEST(AcceptableTextTest, ALanguageTagIsWellFormedOrNotSent) {
  for (const char* code :
       {"fa", "en", "EN", "pt-br", "pt-BR", "zh-hans", "zh-Hant-TW", "es-419",
        "sl-rozaj-biske", "de-CH-1901", "zh-cmn-Hans-CN", "fa-raw", "abcdefgh",
        "en-a-myext-b-another", "de-x-private", "x-a-b-c", "en-a-aa-x-1",
        "en-a-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaa"}) {
    EXPECT_EQ(AcceptableText("language_code", code), code);
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
    EXPECT_EQ(AcceptableText("language_code", code), absl::nullopt) << code;
  }
}

}  // namespace
}  // namespace userprofile::telegram
