#include "client/command/values.h"

#include <string>

#include "gtest/gtest.h"

namespace userprofile::command {
namespace {

TEST(ValuesTest, AUserIdIsAWholeNumberInTheRangeOfTelegrams) {
  EXPECT_EQ(*ParseUserId("1"), 1);
  EXPECT_EQ(*ParseUserId("4503599627370495"), 4503599627370495);
  for (const char* text : {"", "0", "-1", "+1", " 1", "1 ", "1x", "0x1", "1.0",
                           "4503599627370496", "99999999999999999999"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseUserId(text).status())) << text;
  }
}

TEST(ValuesTest, ARevisionIsAWholeNumberFromOne) {
  EXPECT_EQ(*ParseRevision("9223372036854775807"), 9223372036854775807);
  for (const char* text : {"", "0", "-1", "9223372036854775808", "1 "}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseRevision(text).status())) << text;
  }
}

TEST(ValuesTest, ATimeIsThatOfRfc3339OrADate) {
  const struct {
    const char* text;
    std::int64_t seconds;
  } cases[] = {
      {"1970-01-01", 0},
      {"1970-01-02T00:00:00Z", 86400},
      {"1970-01-01T03:30:00+03:30", 0},
      {"2026-11-22T15:00:00.5Z", 1795359600},
      {"9999-12-31", 253402214400},
  };
  for (const auto& c : cases) {
    const auto time = ParseTime(c.text);
    ASSERT_TRUE(time.ok()) << c.text;
    EXPECT_EQ(time->seconds(), c.seconds) << c.text;
  }
  for (const char* text :
       {"", "now", "2026-02-30", "2026-1-1", "26-01-01", "2026-01-01 ",
        " 2026-01-01", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00ZZ", "9999-12-31T23:59:59-01:00", "2026-01-01T",
        "infinite-future", "2026\",\"0"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseTime(text).status())) << text;
  }
}

TEST(ValuesTest, APairHasANameAndAValue) {
  EXPECT_EQ(*ParsePair("a=b=c"),
            std::pair(std::string("a"), std::string("b=c")));
  for (const char* text : {"", "a", "a=", "=b", "="}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParsePair(text).status())) << text;
  }
}

TEST(ValuesTest, AValueIsJsonOrElseText) {
  EXPECT_EQ(ParseValue("Shiraz")->string_value(), "Shiraz");
  EXPECT_EQ(ParseValue("0912")->string_value(), "0912");
  EXPECT_EQ(ParseValue("12 Main St.")->string_value(), "12 Main St.");
  EXPECT_EQ(ParseValue("3")->number_value(), 3);
  EXPECT_EQ(ParseValue("\"3\"")->string_value(), "3");
  EXPECT_TRUE(ParseValue("true")->bool_value());
  EXPECT_TRUE(ParseValue("null")->has_null_value());
  EXPECT_EQ(ParseValue("[1, \"a\"]")->list_value().values_size(), 2);
  EXPECT_EQ(ParseValue("{\"a\": 1}")->struct_value().fields_size(), 1);
  EXPECT_EQ(ParseValue("9007199254740991")->number_value(), 9007199254740991);
  EXPECT_EQ(ParseValue("\"12345678901234567\"")->string_value(),
            "12345678901234567");
  for (const char* text : {"12345678901234567", "-9007199254740993",
                           "{\"a\": [123456789012345678901234567890]}"}) {
    const auto value = ParseValue(text);
    EXPECT_TRUE(absl::IsInvalidArgument(value.status())) << text;
    EXPECT_NE(value.status().message().find("in quotes"), std::string::npos);
  }
  EXPECT_FALSE(
      ParseValue(std::string(5000, '[') + std::string(5000, ']')).ok());
}

}  // namespace
}  // namespace userprofile::command
