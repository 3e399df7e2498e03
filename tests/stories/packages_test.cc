// Bots of each framework that has a package of ours, with its middleware, in
// conversation with many users while the bot and the server are killed: every
// message is answered, nobody known is greeted as new, and nobody who answered
// the questions hears them again.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/stories/bot_users.h"
#include "tests/stories/load.h"
#include "tests/stories/packages.h"
#include "tests/support/bot_api.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

constexpr std::int64_t kUsers = 40;
constexpr int kKills = 5;  // of the bot, and as many of the server

class PackagesTest : public ::testing::Test {
 protected:
  PackagesTest() { server_.StartReady(); }

  // Starts the bot, which is a program with these arguments.
  void Start(const std::vector<std::string>& words) {
    bot_ = std::make_unique<Program>(
        Program::Options{words,
                         {{"BOT_TOKEN", api_.token()},
                          {"PYTHONPATH", kPythonPackages},
                          {"PYTHONDONTWRITEBYTECODE", "1"}}});
  }

  void Kill(int turn, const std::vector<std::string>& words) {
    if (turn % 2 == 0) {
      bot_->Kill();
      Start(words);
    } else {
      server_.program().Kill();
      server_.Start();
    }
  }

  // Everybody comes, is asked, and comes again, until all kills are done.
  void RunThroughKills(const std::vector<std::string>& words) {
    Start(words);
    const auto come = [&] {
      for (std::int64_t user = 1; user <= kUsers; ++user) {
        users_.Start(api_, user);
      }
    };
    come();
    int turn = 0;
    int ended = 0;
    const bool done = Eventually(
        [&] {
          // As whatever looks after bots would.
          if (!bot_->running()) {
            ++ended;
            Start(words);
          }
          const int answered = static_cast<int>(api_.sent().size());
          if (turn < 2 * kKills && answered > 15 * turn) Kill(turn++, words);
          if (users_.waiting() > 0) return false;
          if (turn < 2 * kKills) come();
          return turn == 2 * kKills && api_.pending() == 0;
        },
        absl::Minutes(4));
    EXPECT_TRUE(done) << turn << " kills, " << users_.waiting() << " wait, "
                      << api_.pending()
                      << " updates are left; the bot: " << bot_->output()
                      << bot_->errors();
    EXPECT_LE(ended, kKills) << bot_->errors();
    EXPECT_EQ(users_.completed(), static_cast<std::size_t>(kUsers));
    users_.ExpectAllAnswered();

    ASSERT_TRUE(server_.AwaitReady());
    const auto stub = server_.NewStub();
    for (std::int64_t user = 1; user <= kUsers; ++user) {
      v1::GetProfileResponse response;
      const grpc::Status status = Get(*stub, user, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_TRUE(response.profile().onboarding_completed()) << user;
      EXPECT_EQ(response.profile().nickname(), BotUsers::NicknameOf(user));
    }
  }

  // A service that is away for longer than the bot waits: nobody is told
  // anything meanwhile, and nothing is lost.
  void RunThroughOutage(const std::vector<std::string>& words) {
    Start(words);
    users_.Start(api_, 1);
    ASSERT_TRUE(
        Eventually([&] { return users_.waiting() == 0; }, absl::Minutes(3)))
        << bot_->errors();
    const std::size_t said = api_.sent().size();
    server_.program().Kill();
    users_.Start(api_, 1);
    users_.Start(api_, 2);
    ASSERT_TRUE(Eventually([&] { return !bot_->running(); }, absl::Minutes(3)))
        << "the bot goes on: " << bot_->errors();
    EXPECT_EQ(api_.sent().size(), said);
    EXPECT_EQ(api_.pending(), 2u);
    server_.StartReady();
    Start(words);
    EXPECT_TRUE(
        Eventually([&] { return users_.waiting() == 0; }, absl::Minutes(3)))
        << bot_->errors();
    EXPECT_EQ(users_.completed(), 2u);
  }

  TempDir directory_;
  ServerProgram server_{absl::StrCat("embedded:", directory_ / "database")};
  BotUsers users_;
  BotApi api_{[this](const BotApi::Sent& sent) { users_.OnSent(api_, sent); }};
  std::unique_ptr<Program> bot_;
};

// The tests that lie beside a package, with a server that they start.
void RunOwnTests(const std::vector<std::string>& words) {
  const Outcome outcome =
      RunProgram({words,
                  {{"NODE_PATH", absl::StrCat(kNodePackages, "/node_modules")},
                   {"PYTHONPATH", kPythonPackages},
                   {"PYTHONDONTWRITEBYTECODE", "1"},
                   {"USERPROFILE_SERVER_PROGRAM",
                    USERPROFILE_BINARY_DIR "/bin/userprofile-server"}},
                  ""},
                 absl::Minutes(5));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output << outcome.errors;
}

class NodePackageTest : public PackagesTest,
                        public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    if (!HasNodePackages()) GTEST_SKIP() << "npm does not reach its registry";
  }
};

TEST_P(NodePackageTest, NobodyIsForgottenThroughKills) {
  RunThroughKills(NodeBot(GetParam(), server_.address(), api_.url()));
}

TEST_P(NodePackageTest, NobodyIsAnsweredWhileTheServiceIsAway) {
  RunThroughOutage(NodeBot(GetParam(), server_.address(), api_.url()));
}

INSTANTIATE_TEST_SUITE_P(Frameworks, NodePackageTest,
                         ::testing::Values("grammy", "telegraf",
                                           "node-telegram-bot-api"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(NodePackageOwnTest, Passes) {
  if (!HasNodePackages()) GTEST_SKIP() << "npm does not reach its registry";
  RunOwnTests({"/usr/bin/env", "node", "--test",
               USERPROFILE_SOURCE_DIR "/client/node/test/"});
}

class PythonPackageTest : public PackagesTest {
 protected:
  void SetUp() override {
    if (!HasPythonPackages())
      GTEST_SKIP() << "there is no python-telegram-bot here";
  }
};

TEST_F(PythonPackageTest, NobodyIsForgottenThroughKills) {
  RunThroughKills(PythonBot("bot_ptb", server_.address(), api_.url()));
}

TEST_F(PythonPackageTest, NobodyIsAnsweredWhileTheServiceIsAway) {
  RunThroughOutage(PythonBot("bot_ptb", server_.address(), api_.url()));
}

TEST(PythonPackageOwnTest, Passes) {
  if (!HasPythonPackages())
    GTEST_SKIP() << "there is no python-telegram-bot here";
  RunOwnTests({"/usr/bin/python3", "-m", "unittest", "discover", "-s",
               USERPROFILE_SOURCE_DIR "/client/python/tests"});
}

}  // namespace
}  // namespace userprofile::testing
