// The status page as a browser shows it. Skipped where there is no Chromium:
// it is large, and deploy/local/packages-browser.txt is for those who want it.

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// The path of a Chromium; empty if there is none.
std::string Browser() {
  for (const char* path :
       {"/usr/bin/chromium-headless-shell", "/usr/bin/chromium"}) {
    if (std::filesystem::exists(path)) return path;
  }
  return "";
}

class StatusPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Browser().empty()) {
      GTEST_SKIP() << "there is no Chromium here: deploy/local/install.sh "
                      "chromium-headless-shell brings it";
    }
    server_.StartReady();
  }

  // Shows the page for some seconds of its own time, which passes as fast as
  // the page allows.
  Outcome Show(std::vector<std::string> flags) {
    const TempDir profile;
    std::vector<std::string> words = {
        Browser(),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--virtual-time-budget=5000",
        absl::StrCat("--user-data-dir=", profile.path())};
    words.insert(words.end(), flags.begin(), flags.end());
    words.push_back(absl::StrCat("http://", server_.admin_address(), "/"));
    Outcome outcome = RunProgram({std::move(words)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
    // What the page may not do, and what goes wrong in it, is said here.
    EXPECT_THAT(outcome.errors, Not(HasSubstr("CONSOLE")));
    return outcome;
  }

  // The document as it is then.
  std::string Document() { return Show({"--dump-dom"}).output; }

  // Bots that call until the page has traffic to show.
  std::unique_ptr<Load> MakeTraffic() {
    std::vector<std::unique_ptr<Stub>> stubs;
    for (int i = 0; i < 4; ++i) stubs.push_back(server_.NewStub());
    for (std::int64_t user = 1; user <= 20; ++user) {
      v1::UpsertUserResponse response;
      EXPECT_TRUE(Upsert(*stubs[0], user, &response).ok());
    }
    auto load = std::make_unique<Load>(std::move(stubs), 20);
    EXPECT_TRUE(Eventually([&] {
      const json status = json::parse(server_.Get("/status.json").body);
      return status["history"]["times"].size() >= 2 &&
             status["all"]["calls"] > 0.0 && !status["schema"].is_null();
    }));
    return load;
  }

  TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
};

TEST_F(StatusPageTest, ShowsTheTrafficOfAServerThatIsReady) {
  const auto load = MakeTraffic();
  v1::UpsertUserResponse response;
  EXPECT_FALSE(Upsert(*server_.NewStub(), -1, &response).ok());

  const std::string document = Document();
  EXPECT_THAT(document, HasSubstr("data-state=\"ready\""));
  EXPECT_THAT(document, HasSubstr("id=\"headline\">Ready</h1>"));
  EXPECT_THAT(document, HasSubstr("<title>● Ready"));
  EXPECT_THAT(document, HasSubstr("<th scope=\"row\">UpsertUser</th>"));
  EXPECT_THAT(document, Not(HasSubstr("id=\"rate-now\">0<")));
  EXPECT_THAT(document, ContainsRegex("id=\"latency-now\">[0-9.]+ m?s<"));
  EXPECT_THAT(document, ContainsRegex("id=\"batch-now\">[0-9.]+<"));
  EXPECT_THAT(document, ContainsRegex("class=\"line s0\" d=\"M[0-9]"));
  EXPECT_THAT(document,
              ContainsRegex("aria-label=\"Calls per second, now: [^\"]*"
                            "UpsertUser [0-9]"));
  EXPECT_THAT(document, HasSubstr("New users</span><span>20</span>"));
  EXPECT_THAT(document, HasSubstr("id=\"schema-now\">Holds</strong>"));
  EXPECT_THAT(document, HasSubstr("<b>users.first_name</b>"));
  EXPECT_THAT(document, HasSubstr("<td class=\"left code\">INVALID_FIELDS"));
}

TEST_F(StatusPageTest, SaysWhatIsWrongAndWhatMendsIt) {
  database_.Execute("ALTER TABLE users DROP COLUMN first_name");
  server_.AwaitNotReady("first_name");
  const std::string document = Document();
  EXPECT_THAT(document, HasSubstr("data-state=\"not-ready\""));
  EXPECT_THAT(document, HasSubstr("Not ready: SCHEMA_NOT_READY</h1>"));
  EXPECT_THAT(document, ContainsRegex("id=\"why\">users.first_name is missing"
                                      "[^<]*schema repair"));
  EXPECT_THAT(document, HasSubstr(">Broken</strong>"));
  EXPECT_THAT(document, ContainsRegex("<li class=\"blocking\"><p>users"
                                      ".first_name: missing"));
  EXPECT_THAT(document, HasSubstr("ADD COLUMN first_name"));
}

// What it looks like: kept where USERPROFILE_SCREENSHOTS names a folder.
TEST_F(StatusPageTest, CanBeLookedAtInLightAndDarkWideAndNarrow) {
  const auto load = MakeTraffic();
  const TempDir directory;
  const char* folder = std::getenv("USERPROFILE_SCREENSHOTS");
  const std::pair<const char*, const char*> schemes[] = {{"dark", "0"},
                                                         {"light", "1"}};
  for (const auto& [scheme, number] : schemes) {
    for (const char* size : {"1280,1300", "400,2600"}) {
      const std::string file =
          absl::StrCat(folder == nullptr ? directory.path() : folder,
                       "/status-", scheme, "-", std::atoi(size), ".png");
      Show({absl::StrCat("--blink-settings=preferredColorScheme=", number),
            absl::StrCat("--window-size=", size),
            absl::StrCat("--screenshot=", file)});
      std::error_code error;
      EXPECT_GT(std::filesystem::file_size(file, error), 20000u) << file;
    }
  }
}

}  // namespace
}  // namespace userprofile::testing
