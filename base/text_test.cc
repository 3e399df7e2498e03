#include "base/text.h"

#include "gtest/gtest.h"

namespace userprofile::base {
namespace {

TEST(TextTraitsTest, CountsCodePointsNotBytes) {
  EXPECT_EQ(Inspect("").code_points, 0);
  EXPECT_EQ(Inspect("Test").code_points, 4);
  EXPECT_EQ(Inspect("\xd8\xb9\xd9\x84\xdb\x8c").code_points, 3);
  EXPECT_EQ(Inspect("\xf0\x9f\x98\x80").code_points, 1);
}

TEST(TextTraitsTest, TellsValidUtf8) {
  for (const char* text :
       {"", "a", "\xc2\xa0", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(Inspect(text).valid_utf8) << text;
  }
  for (const char* text : {"\xff", "a\x80", "\xc3", "\xc0\xaf", "\xed\xa0\x80",
                           "\xe2\x82", "\xf4\x90\x80\x80"}) {
    EXPECT_FALSE(Inspect(text).valid_utf8);
  }
}

TEST(TextTraitsTest, FindsControlCharacters) {
  EXPECT_TRUE(Inspect(std::string("a\0b", 3)).has_control_characters);
  for (const char* text :
       {"\x01", "a\n", "\t", "\x1f", "\x7f", "\xc2\x80", "\xc2\x9f"}) {
    EXPECT_TRUE(Inspect(text).has_control_characters);
  }
  for (const char* text : {" ", "~", "\xc2\xa0", "\xe2\x80\x8c"}) {
    EXPECT_FALSE(Inspect(text).has_control_characters) << text;
  }
}

TEST(TextTraitsTest, BlankIsWhatCannotBeSeen) {
  for (const char* text : {"", " ", "\xc2\xa0", "\xe3\x80\x80",
                           "\xe2\x80\x8c\xe2\x80\x8b", "\xef\xbb\xbf"}) {
    EXPECT_TRUE(Inspect(text).blank);
  }
  // With a zero-width non-joiner inside, as Persian is written.
  EXPECT_FALSE(Inspect("\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xb1").blank);
  EXPECT_FALSE(Inspect(" a ").blank);
}

TEST(LanguageTagTest, AcceptsWellFormedTags) {
  for (const char* tag : {
           "fa",
           "en",
           "EN",
           "pt-BR",
           "pt-br",
           "zh-Hans",
           "zh-hans",
           "fa-raw",
           "zh-hant-TW",
           "es-419",
           "sr-Latn-RS",
           "sl-rozaj-biske",
           "de-CH-1901",
           "hy-Latn-IT-arevela",
           "zh-cmn-Hans-CN",
           "zh-min-nan",
           "yue",
           "abcd",
           "abcdefgh",
           "en-a-myext-b-another",
           "en-u-ca-buddhist",
           "de-x-private",
           "x-whatever",
           "x-a-b-c",
           "en-a-aa-x-1",
           "en-a-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaa",
           "i-klingon",
           "I-DEFAULT",
           "en-GB-oed",
           "sgn-BE-FR",
       }) {
    EXPECT_TRUE(IsWellFormedLanguageTag(tag)) << tag;
  }
}

TEST(LanguageTagTest, RefusesEverythingElse) {
  for (const char* tag : {
           "",
           "a",
           "1",
           "12",
           "e1",
           "abcdefghi",
           "-",
           "en-",
           "-en",
           "en--US",
           "en_US",
           "en US",
           "en-US ",
           "en-US\n",
           "classic-zh-cn",
           "en.UTF-8",
           "C.UTF-8",
           "fa\xd8\xa7",
           "en-a",
           "en-a-b",
           "en-x",
           "x",
           "x-",
           "en-x-123456789",
           "en-abcdefghi",
           "en-12",
           "en-US-GB",
           "en-Latn-Cyrl",
           "abcd-abc",
           "zh-aaa-bbb-ccc-ddd",
           "i",
           "i-unknown",
       }) {
    EXPECT_FALSE(IsWellFormedLanguageTag(tag)) << tag;
  }
}

}  // namespace
}  // namespace userprofile::base
