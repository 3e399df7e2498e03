// Each example bot is built and started as its README says, talked to, killed
// and started again: it greets by name whom it has asked before.

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/bot_users.h"
#include "tests/stories/load.h"
#include "tests/stories/packages.h"
#include "tests/support/bot_api.h"
#include "tests/support/free_port.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

constexpr char kExamples[] = USERPROFILE_SOURCE_DIR "/client/examples";

// Runs lines of the shell, which must do what they say.
void Shell(const std::vector<std::string>& lines) {
  const Outcome outcome = RunProgram(
      {{"/bin/bash", "-euc", absl::StrJoin(lines, "\n")}, {}, ""},
      absl::Minutes(10));  // npm, with all that it needs, is 500 packages
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output << outcome.errors;
}

class ExamplesTest : public ::testing::Test {
 protected:
  ExamplesTest() { server_.StartReady(); }

  // Talks to a bot that `start` starts; whatever serves it is in `programs_`.
  void TalkTo(const std::function<void()>& start) {
    start();
    // They hold nobody up: one who takes no answer, and one whom the service
    // refuses unless the name is made to fit.
    for (const int user : {7, 8}) api_.SetBlockedBy(user);
    api_.AddMessage(7, "/start");
    api_.Add(nlohmann::json::parse(R"({"message": {"message_id": 1,
        "date": 1760000000, "chat": {"id": 8, "type": "private"}, "text": "a",
        "from": {"id": 8, "is_bot": false, "first_name": "A\u0001"}}})"));
    for (int user = 1; user <= 5; ++user) users_.Start(api_, user);
    AwaitGreetings();
    EXPECT_EQ(users_.completed(), 5u);

    for (const auto& program : programs_) program->Kill();
    programs_.clear();
    server_.program().Kill();
    server_.StartReady();
    start();
    for (int user = 1; user <= 6; ++user) users_.Start(api_, user);
    AwaitGreetings();
    users_.ExpectAllAnswered();
    v1::GetProfileResponse response;
    ASSERT_TRUE(Get(*server_.NewStub(), 6, &response).ok());
    EXPECT_EQ(response.profile().real_name(), BotUsers::NameOf(6));
    EXPECT_EQ(response.profile().nickname(), BotUsers::NicknameOf(6));
    EXPECT_EQ(response.profile().study_track(), "Mathematics");
    EXPECT_EQ(response.profile().grade_year(), "11");
  }

  void Run(std::vector<std::string> words,
           std::map<std::string, std::string> environment = {}) {
    environment.insert({"BOT_TOKEN", api_.token()});
    environment.insert({"USERPROFILE_BOT_TOKEN", api_.token()});
    environment.insert({"PYTHONDONTWRITEBYTECODE", "1"});
    programs_.push_back(std::make_unique<Program>(
        Program::Options{std::move(words), std::move(environment)}));
  }

  void AwaitGreetings() {
    const bool greeted =
        Eventually([this] { return users_.waiting() == 0; }, absl::Minutes(1));
    std::string said;
    for (const auto& program : programs_) {
      absl::StrAppend(&said, program->output(), program->errors());
    }
    ASSERT_TRUE(greeted) << users_.waiting() << " wait: " << said;
  }

  TempDir directory_;
  ServerProgram server_{absl::StrCat("embedded:", directory_ / "database")};
  BotUsers users_;
  BotApi api_{[this](const BotApi::Sent& sent) { users_.OnSent(api_, sent); }};
  std::vector<std::unique_ptr<Program>> programs_;
};

TEST_F(ExamplesTest, PythonBehindTheAdapter) {
  const int bot_port = FreePort();
  const int api_port = FreePort();
  TalkTo([&] {
    Run({"/usr/bin/python3",
         absl::StrCat(kExamples, "/python/bot_behind_adapter.py"), "--port",
         absl::StrCat(bot_port), "--api",
         absl::StrCat("http://127.0.0.1:", api_port)});
    Run({"userprofile-adapter", "poll", "--server", server_.address(),
         "--forward-to", absl::StrCat("http://127.0.0.1:", bot_port, "/"),
         "--bot-api-url", api_.url(), "--api-listen",
         absl::StrCat("127.0.0.1:", api_port), "--admin-listen",
         "127.0.0.1:0"});
  });
}

class PythonExamplesTest : public ExamplesTest,
                           public ::testing::WithParamInterface<const char*> {};

TEST_P(PythonExamplesTest, WithThePackage) {
  if (!HasPythonPackages()) GTEST_SKIP() << "there is no such package here";
  TalkTo([&] {
    Run(PythonBot(GetParam(), server_.address(), api_.url()),
        {{"PYTHONPATH", kPythonPackages}});
  });
}

INSTANTIATE_TEST_SUITE_P(Bots, PythonExamplesTest,
                         ::testing::Values("bot_grpc", "bot_ptb"));

class NodeExamplesTest : public ExamplesTest,
                         public ::testing::WithParamInterface<const char*> {};

TEST_P(NodeExamplesTest, WithThePackage) {
  if (!HasNodePackages()) GTEST_SKIP() << "npm does not reach its registry";
  TalkTo([&] { Run(NodeBot(GetParam(), server_.address(), api_.url())); });
}

INSTANTIATE_TEST_SUITE_P(Bots, NodeExamplesTest,
                         ::testing::Values("grammy", "telegraf",
                                           "node-telegram-bot-api"));

#ifndef USERPROFILE_SANITIZED  // the library would be, and the example not
TEST_F(ExamplesTest, CppWithTheInstalledLibrary) {
  const std::string prefix = USERPROFILE_BINARY_DIR "/tests/installed";
  const std::string build = USERPROFILE_BINARY_DIR "/tests/example";
  ASSERT_NO_FATAL_FAILURE(Shell(
      {absl::StrCat("rm -rf ", prefix),
       absl::StrCat("cmake --install " USERPROFILE_BINARY_DIR
                    " --component client --prefix ",
                    prefix),
       absl::StrCat("cmake --fresh -S ", kExamples, "/cpp -B ", build,
                    " -G Ninja -DCMAKE_PREFIX_PATH=", prefix,
                    " -DCMAKE_CXX_COMPILER_LAUNCHER=$(command -v ccache)"),
       absl::StrCat("cmake --build ", build)}));
  TalkTo([&] { Run({build + "/bot", server_.address(), api_.url()}); });
}
#endif

}  // namespace
}  // namespace userprofile::testing
