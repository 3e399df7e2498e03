// A bot behind the adapter, first by polling and then by a webhook, with many
// users in conversation, while whatever there is gets killed: the adapter, the
// bot, the server, the database. Nobody is forgotten, and nobody who answered
// the questions hears them again.

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
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

std::string NameOf(std::int64_t user) { return absl::StrCat("Name", user); }

// The users of the bot: each answers what it is asked, and remembers what it
// was told.
class Users {
 public:
  // Somebody writes to the bot.
  void Start(BotApi& api, std::int64_t user) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ++written_[user];
      greeting_due_.insert(user);
    }
    api.AddMessage(user, "/start");
  }

  // The bot writes to somebody.
  void OnSent(BotApi& api, const BotApi::Sent& sent) {
    const std::int64_t user = sent.chat_id;
    const auto answer = AnswerTo(sent.text, user);
    std::lock_guard<std::mutex> lock(mutex_);
    const bool first = heard_[user]++ == 0;
    if (absl::StartsWith(sent.text, "Hello! ")) {
      EXPECT_TRUE(first) << user << " is known, and taken for new";
    }
    if (!answer.empty()) {
      EXPECT_EQ(completed_.count(user), 0u)
          << user << " has answered, and is asked again: " << sent.text;
      ++written_[user];
      api.AddMessage(user, answer, sent.text);
      return;
    }
    EXPECT_TRUE(absl::StrContains(sent.text, NameOf(user))) << sent.text;
    completed_.insert(user);
    if (absl::StartsWith(sent.text, "Welcome back")) greeting_due_.erase(user);
    if (absl::StartsWith(sent.text, "Thank you")) greeting_due_.erase(user);
  }

  std::size_t completed() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return completed_.size();
  }
  // Those who wrote, and were neither thanked nor greeted since.
  std::size_t waiting() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return greeting_due_.size();
  }
  int written() const {
    std::lock_guard<std::mutex> lock(mutex_);
    int sum = 0;
    for (const auto& [user, count] : written_) sum += count;
    return sum;
  }
  // Whether everybody heard at least as often as they wrote.
  void ExpectAllAnswered() const {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [user, count] : written_) {
      const auto heard = heard_.find(user);
      ASSERT_TRUE(heard != heard_.end() && heard->second >= count) << user;
    }
  }

 private:
  static std::string AnswerTo(const std::string& text, std::int64_t user) {
    if (absl::StrContains(text, "your name?")) return NameOf(user);
    if (absl::StrContains(text, "nickname")) return absl::StrCat("nick", user);
    if (absl::StrContains(text, "field of study?")) return "Mathematics";
    if (absl::StrContains(text, "grade")) return "11";
    return "";
  }

  mutable std::mutex mutex_;
  std::map<std::int64_t, int> written_;
  std::map<std::int64_t, int> heard_;
  std::set<std::int64_t> completed_;
  std::set<std::int64_t> greeting_due_;
};

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
                   {"--listen", absl::StrCat("127.0.0.1:", hook_port_)});
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

  // Kills these at random moments, all while the users are at work, and waits
  // until everybody was thanked or greeted.
  void RunThrough(std::vector<std::string> victims) {
    std::shuffle(victims.begin(), victims.end(), random_);
    const std::size_t due = users_.waiting();
    std::size_t killed = 0;
    const bool done = Eventually(
        [&] {
          const std::size_t waiting = users_.waiting();
          if (killed < victims.size() &&
              due - waiting >= due * killed / (victims.size() + 1)) {
            absl::SleepFor(absl::Milliseconds(random_() % 100));
            Kill(victims[killed++]);
          }
          return waiting == 0 && api_.pending() == 0;
        },
        absl::Minutes(4));
    EXPECT_TRUE(done) << users_.waiting() << " wait, " << api_.pending()
                      << " updates are left\n"
                      << adapter_->errors() << bot_->errors();
    EXPECT_EQ(killed, victims.size());
  }

  std::mt19937 random_{std::random_device()()};
  TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
  Users users_;
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
  for (std::int64_t user = 1; user <= kUsers / 2; ++user) {
    users_.Start(api_, user);
  }
  RunThrough({"adapter", "bot", "server", "database", "adapter", "bot",
              "server", "database", "adapter", "bot", "server", "database"});
  EXPECT_EQ(users_.completed(), static_cast<std::size_t>(kUsers / 2));
  adapter_->Signal(SIGTERM);
  EXPECT_EQ(adapter_->Wait(), 0);

  // Those who are known come back, among others who are new.
  mode_ = "webhook";
  StartAdapter();
  api_.SetWebhook(absl::StrCat("http://127.0.0.1:", hook_port_, "/"), kSecret);
  for (std::int64_t user = 1; user <= kUsers; ++user) users_.Start(api_, user);
  RunThrough({"adapter", "bot", "server", "database", "adapter", "bot",
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
    EXPECT_EQ(profile.real_name(), NameOf(user));
    EXPECT_EQ(profile.nickname(), absl::StrCat("nick", user));
    EXPECT_EQ(profile.study_track(), "Mathematics");
    EXPECT_EQ(profile.grade_year(), "11");
  }
  RecordProperty("updates", users_.written());
}

}  // namespace
}  // namespace userprofile::testing
