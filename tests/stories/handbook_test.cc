// The operator's handbook says what the sources say: every reason of an error,
// every key of a line in the log, every alert.

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/error_info.h"
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

TEST(HandbookTest, ListsEveryReasonOfAnError) {
  Names reasons;
  for (int i = v1::ErrorReason_MIN + 1; i <= v1::ErrorReason_MAX; ++i) {
    if (!v1::ErrorReason_IsValid(i)) continue;
    reasons.emplace(base::ReasonName(static_cast<v1::ErrorReason>(i)));
  }
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
