// The calls of docs/api.md, made as they stand there.

#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/free_port.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::testing {
namespace {

constexpr char kPage[] = USERPROFILE_SOURCE_DIR "/docs/api.md";
constexpr char kBuf[] = USERPROFILE_SOURCE_DIR "/tests/checks/buf.sh";

// A call of the page, in both ways, and its answer.
struct Example {
  std::string method;
  std::string buf;
  std::string grpcurl;
  std::string answer;
};

// Under the heading with the method's name: a block of sh, one of json.
std::vector<Example> ReadPage() {
  std::ifstream file(kPage);
  std::vector<Example> examples;
  std::string* block = nullptr;
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "### ")) {
      examples.push_back({line.substr(4), "", "", ""});
    } else if (examples.empty()) {
      continue;
    } else if (line == "```sh") {
      block = &examples.back().buf;
    } else if (line == "```json") {
      block = &examples.back().answer;
    } else if (line == "```") {
      block = nullptr;
    } else if (block != nullptr) {
      if (absl::StartsWith(line, "grpcurl")) block = &examples.back().grpcurl;
      absl::StrAppend(block, line, "\n");
    }
  }
  return examples;
}

// What is sent, and to which method.
std::string Sent(const std::string& command) {
  std::smatch match;
  const std::regex sent(
      R"(-d\s+('[^']*')[^']*userprofile\.v1\.UserProfileService/(\w+)\s*$)");
  return std::regex_search(command, match, sent)
             ? absl::StrCat(match[2].str(), " ", match[1].str())
             : absl::StrCat("no call: ", command);
}

// Times and tokens differ, and revisions that are times.
nlohmann::json Comparable(const std::string& json) {
  const std::regex token(R"#(("watchToken": *)"[^"]+")#");
  const std::regex time(R"("\d{4}-\d\d-\d\dT[^"]*")");
  const std::regex revision(R"#(("revision": *)"\d{16}")#");
  std::string same = std::regex_replace(json, token, "$1\"a token\"");
  same = std::regex_replace(same, time, "\"a time\"");
  same = std::regex_replace(same, revision, "$1\"a revision\"");
  return nlohmann::json::parse(same, nullptr, /*allow_exceptions=*/false);
}

TEST(ApiPageTest, HasEveryMethod) {
  std::vector<std::string> methods;
  const auto& service = *v1::Profile::descriptor()->file()->service(0);
  for (int i = 0; i < service.method_count(); ++i) {
    // A stream has no end that could be shown.
    if (service.method(i)->server_streaming()) continue;
    methods.push_back(service.method(i)->name());
  }
  std::vector<std::string> shown;
  for (const Example& example : ReadPage()) shown.push_back(example.method);
  EXPECT_THAT(shown, ::testing::UnorderedElementsAreArray(methods));
}

TEST(ApiPageTest, SaysWhatComesBack) {
  const Outcome buf =
      RunProgram({{"/bin/bash", kBuf}, {}, ""}, absl::Minutes(5));
  if (buf.exit_code == 77) GTEST_SKIP() << buf.errors;
  ASSERT_EQ(buf.exit_code, 0) << buf.errors;
  const std::string path(absl::StripSuffix(buf.output, "\n"));

  TempDir directory;
  ServerProgram server(absl::StrCat("embedded:", directory / "database"));
  server.ListenOn(absl::StrCat("127.0.0.1:", FreePort()));
  server.StartReady();
  for (const Example& example : ReadPage()) {
    SCOPED_TRACE(example.method);
    EXPECT_EQ(Sent(example.buf), Sent(example.grpcurl));
    EXPECT_TRUE(absl::StartsWith(Sent(example.buf), example.method));
    const Outcome outcome =
        RunProgram({{"/bin/bash", "-euc",
                     absl::StrReplaceAll(
                         example.buf, {{"npx --yes @bufbuild/buf", path},
                                       {"127.0.0.1:50051", server.address()}})},
                    {},
                    ""});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
    EXPECT_EQ(Comparable(outcome.output), Comparable(example.answer))
        << outcome.output;
  }
}

}  // namespace
}  // namespace userprofile::testing
