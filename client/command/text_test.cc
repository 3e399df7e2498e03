#include "client/command/text.h"

#include <string>

#include "gtest/gtest.h"

namespace userprofile::command {
namespace {

TEST(PrintableTest, LeavesWhatPeopleAreCalled) {
  for (const char* name :
       {"", "Sara", "سارا", "می‌خواهم", "田中", "O'Neil 🎉"}) {
    EXPECT_EQ(Printable(name), name);
  }
}

TEST(PrintableTest, KeepsFromTheTerminalWhatControlsIt) {
  const struct {
    const char* text;
    const char* printable;
  } cases[] = {
      {"a\x1b[31mb", "a\ufffd[31mb"},
      {"a\nb\tc\rd", "a\ufffdb\ufffdc\ufffdd"},
      {"\x7f", "\ufffd"},
      {"\u009b31m", "\ufffd31m"},            // C1: CSI in one character
      {"a\u202egpj.exe", "a\ufffdgpj.exe"},  // right to left from here on
      {"a\u2028b", "a\ufffdb"},
      {"a\xff\x62", "a\ufffdb"},
  };
  for (const auto& c : cases) EXPECT_EQ(Printable(c.text), c.printable);
}

TEST(WidthTest, CountsColumns) {
  EXPECT_EQ(WidthOf("Sara"), 4);
  EXPECT_EQ(WidthOf("سارا"), 4);
  EXPECT_EQ(WidthOf("田中"), 4);
  EXPECT_EQ(WidthOf("e\u0301"), 1);
  EXPECT_EQ(WidthOf("\u200c"), 0);
}

TEST(CsvTest, QuotesWhatNeedsIt) {
  EXPECT_EQ(CsvLine({"a", "", "b c"}), "a,,b c\r\n");
  EXPECT_EQ(CsvLine({"a,b", "say \"hi\"", "two\nlines"}),
            "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\r\n");
}

TEST(TableTest, ColumnsAreAsWideAsWhatIsInThem) {
  Table table({"id", "name"});
  EXPECT_EQ(table.Add({{"1", "Sara"}, {"1234", ""}}),
            "id    name\n"
            "1     Sara\n"
            "1234\n");
  EXPECT_EQ(table.Add({{"2", "a\nb"}}), "2     a\ufffdb\n") << "no second head";
  EXPECT_EQ(table.Add({{"田中", "x"}}), "田中  x\n");
}

TEST(TableTest, CutsWhatIsTooLong) {
  Table table({"name"});
  std::string long_name;
  for (int i = 0; i < 41; ++i) long_name += "ä";
  EXPECT_EQ(table.Add({{long_name}}),
            "name\n" + long_name.substr(0, 2 * 39) + "…\n");
  EXPECT_EQ(table.Add({{long_name.substr(2)}}), long_name.substr(2) + "\n");
}

}  // namespace
}  // namespace userprofile::command
