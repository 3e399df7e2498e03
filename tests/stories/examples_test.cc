// Each example bot is built and started as its README says, talked to, killed
// and started again: it greets by name whom it has asked before.

#include <csignal>
#include <filesystem>
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
#include "tests/support/bot_api.h"
#include "tests/support/free_port.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

constexpr char kExamples[] = USERPROFILE_SOURCE_DIR "/client/examples";
constexpr char kProto[] = USERPROFILE_SOURCE_DIR "/proto";

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

TEST_F(ExamplesTest, PythonWithGrpcio) {
  const std::string generated = directory_ / "generated";
  ASSERT_NO_FATAL_FAILURE(
      Shell({absl::StrCat("mkdir ", generated), absl::StrCat("cd ", kProto),
             absl::StrCat("protoc -I. --python_out=", generated,
                          " --grpc_python_out=", generated,
                          " --plugin=protoc-gen-grpc_python=$(command -v "
                          "grpc_python_plugin) google/rpc/*.proto "
                          "userprofile/v1/*.proto")}));
  TalkTo([&] {
    Run({"/usr/bin/python3", absl::StrCat(kExamples, "/python/bot_grpc.py"),
         "--server", server_.address(), "--bot-api-url", api_.url()},
        {{"PYTHONPATH", generated}});
  });
}

TEST_F(ExamplesTest, NodeWithGrpcJs) {
  // What npm brought is kept from run to run, as other tools are.
  const std::string modules =
      absl::StrCat(USERPROFILE_SOURCE_DIR, "/build/tools/node-example");
  ASSERT_NO_FATAL_FAILURE(
      Shell({absl::StrCat("mkdir -p ", modules),
             "command -v npm >/dev/null || " USERPROFILE_SOURCE_DIR
             "/deploy/local/install.sh npm",
             absl::StrCat("cp ", kExamples, "/node/package.json ", kExamples,
                          "/node/*.js ", modules)}));
  if (!std::filesystem::exists(modules + "/node_modules/@grpc/grpc-js")) {
    const Outcome ping =
        RunProgram({{"/usr/bin/env", "npm", "ping", "--fetch-retries=0"}});
    if (ping.exit_code != 0) {
      GTEST_SKIP() << "npm does not reach its registry: " << ping.errors;
    }
    ASSERT_NO_FATAL_FAILURE(
        Shell({absl::StrCat("cd ", modules),
               "npm install --no-package-lock --no-audit --no-fund "
               "--loglevel=error"}));
  }
  TalkTo([&] {
    Run({"/usr/bin/env", "node", modules + "/bot.js", server_.address(),
         api_.url()},
        {{"PROTO_DIR", kProto}});
  });
}

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
