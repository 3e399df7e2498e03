#include "server/postgres/array_literal.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/postgres/session.h"
#include "tests/support/test_database.h"

namespace userprofile::postgres {
namespace {

TEST(ArrayLiteralTest, OfNothingIsAnEmptyArray) {
  EXPECT_EQ(ArrayLiteral().Finish(), "{}");
}

TEST(ArrayLiteralTest, QuotesEveryText) {
  ArrayLiteral array;
  array.AppendText("NULL");
  array.AppendNull();
  array.AppendText("");
  array.AppendText(R"(a"b\c)");
  EXPECT_EQ(array.Finish(), R"({"NULL",NULL,"","a\"b\\c"})");
}

TEST(ArrayLiteralTest, WritesNumbersAndBooleans) {
  ArrayLiteral array;
  array.AppendInt64(std::numeric_limits<std::int64_t>::min());
  array.AppendNumber("1700000000.25");
  array.AppendBool(true);
  array.AppendBool(false);
  EXPECT_EQ(array.Finish(), "{-9223372036854775808,1700000000.25,t,f}");
}

TEST(ArrayLiteralTest, WritesNoneAsNull) {
  ArrayLiteral array;
  array.AppendInt64(absl::nullopt);
  array.AppendBool(absl::nullopt);
  EXPECT_EQ(array.Finish(), "{NULL,NULL}");
}

TEST(ArrayLiteralTest, StartsAnewAfterFinish) {
  ArrayLiteral array;
  array.AppendInt64(1);
  array.Finish();
  array.AppendInt64(2);
  EXPECT_EQ(array.Finish(), "{2}");
}

TEST(ArrayLiteralTest, BringsEveryTextThroughPostgresUnchanged) {
  const std::vector<std::string> texts = {
      "",     " ",       "NULL", "null",       "\"",  "\\",    "\\\"",
      "{}",   "{\"a\"}", ",",    "a,b",        "'",   "$1",    "line\nline",
      "\t\r", "\x01",    "آرش",  "\U0001F600", "\\N", "a\\nb", "--; DROP",
  };
  ArrayLiteral array;
  for (const std::string& text : texts) array.AppendText(text);
  testing::TestDatabase database;
  const absl::StatusOr<Rows> rows = database.Connect()->Execute(
      {"round_trip", "SELECT unnest($1::text[])"}, {array.Finish()});
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(rows->Text(i, 0), texts[i]) << "text " << i;
    EXPECT_FALSE(rows->IsNull(i, 0)) << "text " << i;
  }
}

}  // namespace
}  // namespace userprofile::postgres
