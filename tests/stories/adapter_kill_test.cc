// A bot behind the adapter, first by polling and then by a webhook, with many
// users in conversation, while whatever there is gets killed: the adapter, the
// bot, the server, the database. Nobody is forgotten, and nobody who answered
// the questions hears them again.

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/stories/bot_users.h"
#include "tests/stories/load.h"
#include "tests/support/bot_api.h"
#include "tests/support/free_port.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

#ifdef USERPROFILE_SANITIZED
constexpr std::int64_t kUsers = 200;
#else
constexpr std::int64_t kUsers = 2000;
#endif
constexpr char kSecret[] = "webhook-secret";

class AdapterKillTest : public ::testing::Test {
 protected:
  void StartBot() {
    bot_ = std::make_unique<Program>(Program::Options{
        {"/usr/bin/python3",
         USERPROFILE_SOURCE_DIR "/client/examples/python/bot_behind_adapter.py",
         "--port", absl::StrCat(bot_port_), "--api",
         absl::StrCat("http://127.0.0.1:", api_port_)},
        {{"PYTHONDONTWRITEBYTECODE", "1"}}});
  }

  void StartAdapter() {
    std::vector<std::string> words = {
        "userprofile-adapter",
        mode_,
        "--server",
        server_.address(),
        "--forward-to",
        absl::StrCat("http://127.0.0.1:", bot_port_, "/"),
        "--api-listen",
        absl::StrCat("127.0.0.1:", api_port_),
        "--admin-listen",
        "127.0.0.1:0"};
    if (mode_ == "poll") {
      words.insert(words.end(), {"--bot-api-url", api_.url()});
    } else {
      words.insert(words.end(),
                   {"--listen", absl::StrCat("127.0.0.1:", hook_port_),
                    "--bot-id", "123456"});
    }
    adapter_ = std::make_unique<Program>(
        Program::Options{words,
                         {{"USERPROFILE_BOT_TOKEN", api_.token()},
                          {"USERPROFILE_WEBHOOK_SECRET", kSecret}}});
  }

  void Kill(const std::string& what) {
    if (what == "adapter") {
      adapter_->Kill();
      StartAdapter();
    } else if (what == "bot") {
      bot_->Kill();
      StartBot();
    } else if (what == "server") {
      server_.program().Kill();
      server_.Start();
    } else {
      database_.KillServer();
    }
  }

  // Users 1 to `users` come, and these get killed at random moments, all while
  // the users are at work: they come again if they were faster. Waits until
  // everybody was thanked or greeted.
  void RunThrough(std::int64_t users, std::vector<std::string> victims) {
    std::shuffle(victims.begin(), victims.end(), random_);
    const auto come = [&] {
      for (std::int64_t user = 1; user <= users; ++user) {
        users_.Start(api_, user);
      }
    };
    come();
    const auto due = static_cast<std::size_t>(users);
    std::size_t killed = 0;
    const bool done = Eventually(
        [&] {
          const std::size_t waiting = users_.waiting();
          if (killed < victims.size() &&
              due - waiting >= due * killed / (victims.size() + 1)) {
            absl::SleepFor(absl::Milliseconds(random_() % 100));
            Kill(victims[killed++]);
          }
          if (waiting > 0) return false;
          if (killed < victims.size()) come();
          return killed == victims.size() && api_.pending() == 0;
        },
        absl::Minutes(4));
    EXPECT_TRUE(done) << users_.waiting() << " wait, " << api_.pending()
                      << " updates are left\n"
                      << adapter_->errors() << bot_->errors();
  }

  std::mt19937 random_{std::random_device()()};
  TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
  BotUsers users_;
  BotApi api_{[this](const BotApi::Sent& sent) { users_.OnSent(api_, sent); }};
  const int bot_port_ = FreePort();
  const int api_port_ = FreePort();
  const int hook_port_ = FreePort();
  std::string mode_ = "poll";
  std::unique_ptr<Program> bot_;
  std::unique_ptr<Program> adapter_;
};

TEST_F(AdapterKillTest, NobodyIsForgottenOrAskedTwice) {
  server_.StartReady();
  StartBot();
  StartAdapter();
  RunThrough(kUsers / 2,
             {"adapter", "bot", "server", "database", "adapter", "bot",
              "server", "database", "adapter", "bot", "server", "database"});
  EXPECT_EQ(users_.completed(), static_cast<std::size_t>(kUsers / 2));
  // It may have been started again a moment ago: before it says so, a signal
  // ends it like any program.
  EXPECT_TRUE(Eventually([&] {
    return absl::StrContains(adapter_->errors(), "polling, ");
  })) << adapter_->errors();
  adapter_->Signal(SIGTERM);
  EXPECT_EQ(adapter_->Wait(), 0);

  // Those who are known come back, among others who are new.
  mode_ = "webhook";
  StartAdapter();
  api_.SetWebhook(absl::StrCat("http://127.0.0.1:", hook_port_, "/"), kSecret);
  RunThrough(kUsers, {"adapter", "bot", "server", "database", "adapter", "bot",
                      "server", "database"});
  EXPECT_EQ(users_.completed(), static_cast<std::size_t>(kUsers));
  EXPECT_GE(users_.written(), 5 * kUsers);
  users_.ExpectAllAnswered();

  ASSERT_TRUE(server_.AwaitReady());
  const auto stub = server_.NewStub();
  for (std::int64_t user = 1; user <= kUsers; ++user) {
    v1::GetProfileResponse response;
    const grpc::Status status = Get(*stub, user, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    const v1::Profile& profile = response.profile();
    EXPECT_TRUE(profile.onboarding_completed()) << user;
    EXPECT_EQ(profile.real_name(), BotUsers::NameOf(user));
    EXPECT_EQ(profile.nickname(), absl::StrCat("nick", user));
    EXPECT_EQ(profile.study_track(), "Mathematics");
    EXPECT_EQ(profile.grade_year(), "11");
  }
  RecordProperty("updates", users_.written());
}

}  // namespace
}  // namespace userprofile::testing
