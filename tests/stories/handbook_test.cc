// The operator's handbook says what the sources say: every reason of an error,
// every key of a line in the log, every alert.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::testing {
namespace {

using Names = std::set<std::string>;

std::string Read(const std::string& path) {
  std::ifstream file(absl::StrCat(USERPROFILE_SOURCE_DIR, "/", path));
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The first group of every match.
Names Find(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  Names names;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end;
       ++at) {
    names.insert((*at)[1]);
  }
  return names;
}

constexpr char kHandbook[] = "docs/operations.md";

// The names in the first column of the tables under a heading.
Names InHandbook(absl::string_view heading) {
  const std::string page = Read(kHandbook);
  const std::size_t begin = page.find(absl::StrCat("\n", heading, "\n"));
  EXPECT_NE(begin, std::string::npos) << heading;
  const std::size_t end = page.find("\n## ", begin + 1);
  return Find(page.substr(begin, end - begin), R"(\n\| `([A-Za-z_]+)` \|)");
}

// The sources of the folders whose errors reach callers, without tests.
std::string ServingSources() {
  std::string text;
  for (const char* folder : {"ops", "store", "access", "api", "transport"}) {
    for (const auto& entry : std::filesystem::directory_iterator(
             absl::StrCat(USERPROFILE_SOURCE_DIR, "/server/", folder))) {
      const std::string name = entry.path().filename();
      const bool is_source =
          absl::EndsWith(name, ".cc") || absl::EndsWith(name, ".h");
      if (!is_source || absl::StrContains(name, "test") ||
          absl::StrContains(name, "fake")) {
        continue;
      }
      text += Read(absl::StrCat("server/", folder, "/", name));
    }
  }
  return text;
}

// What stands in the parentheses behind each MakeError.
std::string ArgumentsOfErrors(const std::string& text) {
  std::string arguments;
  const std::string name = "MakeError(";
  for (std::size_t at = text.find(name); at != std::string::npos;
       at = text.find(name, at + 1)) {
    int depth = 1;
    for (std::size_t i = at + name.size(); i < text.size() && depth > 0; ++i) {
      depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
      arguments += text[i];
    }
  }
  return arguments;
}

TEST(HandbookTest, ListsEveryReasonOfAnError) {
  const std::string sources = ServingSources();
  const std::string arguments = ArgumentsOfErrors(sources);
  Names reasons = Find(arguments, R"re("([A-Z]+_?[A-Z_]*)")re");
  // Those that have a name in the source.
  for (const std::string& constant : Find(arguments, R"(\b(k[A-Z]\w+)\b)")) {
    reasons.merge(
        Find(sources,
             absl::StrCat("\\b", constant, R"re(\[\] = "([A-Z]+_?[A-Z_]*)")re")
                 .c_str()));
  }
  EXPECT_GT(reasons.size(), 10u);
  EXPECT_EQ(Find(Read(kHandbook), R"(\n\| `([A-Z_]+)` \|)"), reasons);
}

TEST(HandbookTest, ListsEveryKeyOfALineInTheLog) {
  Names keys = Find(Read("server/api/request_log.cc"), R"re(\{"([a-z_]+)",)re");
  keys.merge(Find(Read("ops/logging.cc"), R"re(\{"([a-z]+)",)re"));
  Names listed = InHandbook("## Logs");
  for (const char* level : {"error", "warning", "info", "debug"}) {
    EXPECT_EQ(listed.count(level), 1u) << level;
    if (keys.count(level) == 0) listed.erase(level);
  }
  EXPECT_GT(keys.size(), 10u);
  EXPECT_EQ(listed, keys);
}

TEST(HandbookTest, SaysWhatToDoForEveryAlert) {
  const Names alerts =
      Find(Read("deploy/observability/alerts.yaml"), R"(- alert: (\w+)\n)");
  EXPECT_GT(alerts.size(), 5u);
  EXPECT_EQ(Find(Read(kHandbook), R"(\n### (Userprofile\w+)\n)"), alerts);
}

}  // namespace
}  // namespace userprofile::testing
