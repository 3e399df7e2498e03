#include "client/adapter/json_text.h"

#include <string>

#include <gtest/gtest.h>

namespace userprofile::adapter {
namespace {

constexpr char kReplacement[] = "\xef\xbf\xbd";

TEST(JsonTextTest, WhatIsNotUnicodeIsReplacedAndNothingElse) {
  const struct {
    std::string text;
    std::string expected;
  } cases[] = {
      {R"("\ud83d\udc4d é")", "\xf0\x9f\x91\x8d \xc3\xa9"},
      {"\"a\xff\xc3\"", std::string("a") + kReplacement + kReplacement},
      {R"("\ud800")", kReplacement},
      {R"("\udc4d\ud83d")", std::string(kReplacement) + kReplacement},
      {R"("\ud83d\ud83d\udc4d")",
       std::string(kReplacement) + "\xf0\x9f\x91\x8d"},
      {R"("\uD800\n")", std::string(kReplacement) + "\n"},
      // The letters, behind a backslash.
      {R"("\\ud800 \udfff")", std::string("\\ud800 ") + kReplacement},
  };
  for (const auto& c : cases) {
    std::string text = c.text;
    const nlohmann::json value = ParseJson(text);
    ASSERT_TRUE(value.is_string()) << c.text;
    EXPECT_EQ(value.get<std::string>(), c.expected) << c.text;
    EXPECT_EQ(nlohmann::json::parse(text), value) << "mended: " << text;
  }
}

TEST(JsonTextTest, WhatIsNoJsonStaysNone) {
  for (std::string text : {"", "x", "[1", "\"\\u12\"", "\"\\", "\xff"}) {
    EXPECT_TRUE(ParseJson(text).is_discarded()) << text;
  }
}

TEST(JsonTextTest, WhatIsTooDeepIsLeftOut) {
  const auto nested = [](const std::string& open, const std::string& close) {
    std::string text;
    for (int i = 0; i < 200000; ++i) text += open;
    text += "1";
    for (int i = 0; i < 200000; ++i) text += close;
    return R"({"a":)" + text + R"(,"b":2})";
  };
  for (std::string text : {nested("[", "]"), nested("{\"x\":", "}")}) {
    const nlohmann::json value = ParseJson(text);
    ASSERT_TRUE(value.is_object());
    EXPECT_EQ(value["b"], 2);
    EXPECT_LT(value.dump().size(), 1000u);
    EXPECT_TRUE(nlohmann::json::accept(value.dump()));
  }
}

}  // namespace
}  // namespace userprofile::adapter
