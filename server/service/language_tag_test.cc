#include "server/service/language_tag.h"

#include "gtest/gtest.h"

namespace userprofile::service {
namespace {

TEST(LanguageTagTest, AcceptsWellFormedTags) {
  for (const char* tag : {
           "fa",
           "en",
           "EN",
           "pt-BR",
           "pt-br",
           "zh-Hans",
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
}  // namespace userprofile::service
