#include "client/adapter/update.h"

#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/adapter/testing.h"

namespace userprofile::adapter {
namespace {

Update Read(const std::string& text) {
  Line line;
  line.number = 5;
  line.text = text;
  return ReadUpdateLine(std::move(line));
}

TEST(UpdateTest, ContactHasUpdateAndUser) {
  const Update line = Read(MessageOf(12345, 7));
  ASSERT_TRUE(line.contact);
  EXPECT_EQ(line.contact->user_id(), 12345);
  EXPECT_EQ(line.outcome.update_id, 7);
  EXPECT_EQ(line.outcome.user_id, 12345);
  EXPECT_EQ(line.outcome.line, 5);
}

TEST(UpdateTest, NobodysUpdateIsIgnored) {
  const Update line = Read(R"({"update_id":7,"poll":{"id":"1"}})");
  EXPECT_FALSE(line.contact);
  EXPECT_EQ(ToJson(line.outcome),
            R"({"update_id":7,"user_id":null,"recognized":"ignored"})");
}

struct BadLine {
  const char* label;
  std::string text;
  const char* code;
  const char* message;
};

void PrintTo(const BadLine& line, std::ostream* os) { *os << line.label; }

class BadLineTest : public testing::TestWithParam<BadLine> {};

TEST_P(BadLineTest, IsAnErrorThatQuotesNothing) {
  const Update line = Read(GetParam().text);
  EXPECT_FALSE(line.contact);
  EXPECT_TRUE(line.outcome.is_error());
  EXPECT_EQ(line.outcome.code, GetParam().code);
  EXPECT_EQ(line.outcome.message, GetParam().message);
}

constexpr char kNotJson[] = "the line is not one JSON value";

const BadLine kBadLines[] = {
    {"Words", "Ada Lovelace", "INVALID_JSON", kNotJson},
    {"HalfAnUpdate", MessageOf(7, 1).substr(0, 60), "INVALID_JSON", kNotJson},
    {"TwoUpdates", MessageOf(7, 1) + MessageOf(7, 2), "INVALID_JSON", kNotJson},
    {"NulBytes", std::string(20, '\0'), "INVALID_JSON", kNotJson},
    {"NumberTooLarge", R"({"update_id":1e999})", "INVALID_JSON", kNotJson},
    {"DeepGarbage", std::string(500 * 1000, '['), "INVALID_JSON", kNotJson},
    {"DeepArray", std::string(500 * 1000, '[') + std::string(500 * 1000, ']'),
     "INVALID_UPDATE", "an update is a JSON object"},
    {"Number", "17", "INVALID_UPDATE", "an update is a JSON object"},
    {"WholeAnswerOfGetUpdates", R"({"ok":true,"result":[]})", "INVALID_UPDATE",
     "update_id is missing"},
    {"TextAsUpdateId", R"({"update_id":"7"})", "INVALID_UPDATE",
     "update_id is not a 64-bit integer"},
    {"BadUser", R"({"update_id":7,"message":{"from":{"id":0}}})",
     "INVALID_UPDATE", "message.from.id is not a user id"},
};

INSTANTIATE_TEST_SUITE_P(Lines, BadLineTest, testing::ValuesIn(kBadLines),
                         [](const auto& info) { return info.param.label; });

TEST(UpdateTest, TextThatIsNotUnicodeStopsNobody) {
  for (const char* name : {"A\xff", "A\xed\xa0\x80", "A\\ud800", "A\\udc00x"}) {
    std::string text = MessageOf(12345, 7);
    text.replace(text.find("Ada"), 3, name);
    const Update line = ReadUpdate(text, /*bot=*/"");
    ASSERT_TRUE(line.contact) << name << line.outcome.message;
    EXPECT_THAT(line.contact->identity().first_name(),
                ::testing::StartsWith("A\xef\xbf\xbd"));
    EXPECT_TRUE(nlohmann::json::accept(line.text)) << name;
  }
}

TEST(UpdateTest, DeepFieldsThatDoNotMatterAreIgnored) {
  const std::string deep =
      std::string(100 * 1000, '[') + std::string(100 * 1000, ']');
  const Update line = Read(R"({"update_id":7,"x":)" + deep + R"(,"poll":{}})");
  EXPECT_EQ(line.outcome.recognized, Recognized::kIgnored);
}

TEST(UpdateTest, LineTooLongIsAnError) {
  Line line;
  line.too_long = true;
  EXPECT_EQ(ReadUpdateLine(line).outcome.code, "LINE_TOO_LONG");
}

TEST(OutcomeTest, ErrorTellsCodeReasonMessageAndLine) {
  Outcome outcome = Read(MessageOf(12345, 7)).outcome;
  outcome.Set(absl::ResourceExhaustedError("too \"many\" \xff"));
  outcome.reason = "OVERLOADED";
  EXPECT_EQ(ToJson(outcome),
            R"({"update_id":7,"user_id":12345,"recognized":"error",)"
            R"("code":"RESOURCE_EXHAUSTED","reason":"OVERLOADED",)"
            "\"message\":\"too \\\"many\\\" \xEF\xBF\xBD\",\"line\":5}");
}

TEST(OutcomeTest, RecognitionIsNamed) {
  Outcome outcome = Read(MessageOf(12345, 7)).outcome;
  outcome.Set(client::Recognition::kNew);
  EXPECT_EQ(ToJson(outcome),
            R"({"update_id":7,"user_id":12345,"recognized":"new"})");
  outcome.Set(client::Recognition::kReturning);
  EXPECT_STREQ(NameOf(outcome.recognized), "returning");
  outcome.Set(client::Recognition::kOnboarded);
  EXPECT_STREQ(NameOf(outcome.recognized), "onboarded");
}

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
