#include "client/adapter/update_line.h"

#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/adapter/testing.h"

namespace userprofile::adapter {
namespace {

UpdateLine Read(const std::string& text) {
  Line line;
  line.number = 5;
  line.text = text;
  return ReadUpdateLine(std::move(line));
}

TEST(UpdateLineTest, ContactHasUpdateAndUser) {
  const UpdateLine line = Read(MessageOf(12345, 7));
  ASSERT_TRUE(line.contact);
  EXPECT_EQ(line.contact->user_id(), 12345);
  EXPECT_EQ(line.outcome.update_id, 7);
  EXPECT_EQ(line.outcome.user_id, 12345);
  EXPECT_EQ(line.outcome.line, 5);
}

TEST(UpdateLineTest, NobodysUpdateIsIgnored) {
  const UpdateLine line = Read(R"({"update_id":7,"poll":{"id":"1"}})");
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
  const UpdateLine line = Read(GetParam().text);
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

TEST(UpdateLineTest, TextThatIsNotUnicodeStopsNobody) {
  for (const char* name : {"A\xff", "A\xed\xa0\x80", "A\\ud800", "A\\udc00x"}) {
    std::string text = MessageOf(12345, 7);
    text.replace(text.find("Ada"), 3, name);
    const UpdateLine line = ReadUpdate(text);
    ASSERT_TRUE(line.contact) << name << line.outcome.message;
    EXPECT_THAT(line.contact->identity().first_name(),
                ::testing::StartsWith("A\xef\xbf\xbd"));
    EXPECT_TRUE(nlohmann::json::accept(line.text)) << name;
  }
}

TEST(UpdateLineTest, DeepFieldsThatDoNotMatterAreIgnored) {
  const std::string deep =
      std::string(100 * 1000, '[') + std::string(100 * 1000, ']');
  const UpdateLine line =
      Read(R"({"update_id":7,"x":)" + deep + R"(,"poll":{}})");
  EXPECT_EQ(line.outcome.recognized, "ignored");
}

TEST(UpdateLineTest, LineTooLongIsAnError) {
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
  EXPECT_EQ(outcome.recognized, "returning");
  outcome.Set(client::Recognition::kOnboarded);
  EXPECT_EQ(outcome.recognized, "onboarded");
}

}  // namespace
}  // namespace userprofile::adapter
