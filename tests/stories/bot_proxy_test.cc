// Bots that poll through `userprofile-adapter proxy`, as a program: contacts
// are stored before a bot is given the update, all else passes as it is, and no
// kill or outage loses an update or calls somebody known new.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/stories/packages.h"
#include "tests/stories/server_story.h"
#include "tests/support/bot_api.h"
#include "tests/support/certificate.h"
#include "tests/support/free_port.h"
#include "tests/support/http_client.h"
#include "tests/support/http_server.h"
#include "tests/support/program.h"

namespace userprofile::testing {
namespace {

using base::SteadyTime;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

// Memory is not as it is with a sanitizer's bookkeeping, nor is time.
#ifdef USERPROFILE_SANITIZED
constexpr bool kIsMeasured = false;
#else
constexpr bool kIsMeasured = true;
#endif

class BotProxyTest : public ServerStory {
 protected:
  // On a port that stays the same, when it is started again.
  void StartProxy(const std::string& bot_api,
                  std::map<std::string, std::string> environment = {}) {
    proxy_ = std::make_unique<Program>(Program::Options{
        {"userprofile-adapter", "proxy", "--server", server_->address(),
         "--bot-api-url", bot_api, "--listen", address_, "--api-listen",
         "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"},
        std::move(environment)});
  }
  void StartProxy() { StartProxy(api_.url()); }

  void AwaitProxy() {
    ASSERT_TRUE(Eventually([this] {
      return absl::StrContains(proxy_->errors(), "people and probes on") ||
             !proxy_->running();
    }));
    ASSERT_TRUE(proxy_->running()) << proxy_->errors();
  }

  static std::string PathOf(const std::string& token,
                            const std::string& method) {
    return absl::StrCat("/bot", token, "/", method);
  }

  // What a bot is answered, by GET.
  HttpAnswer Ask(const std::string& method_and_query) const {
    return HttpClient(address_, absl::Seconds(30))
        .Get(PathOf(api_.token(), method_and_query));
  }

  static json UpdatesOf(const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    const json parsed = json::parse(answer.body, nullptr, false);
    EXPECT_TRUE(parsed.is_object() && parsed["result"].is_array())
        << answer.body;
    return parsed.is_object() ? parsed["result"] : json::array();
  }

  bool IsStored(std::int64_t user) const {
    v1::GetProfileResponse response;
    return Get(*server_->NewStub(), user, &response).ok();
  }

  bool IsActive(std::int64_t user) const {
    v1::GetProfileResponse response;
    return Get(*server_->NewStub(), user, &response).ok() &&
           response.profile().is_active();
  }

  BotApi api_;
  const std::string address_ = absl::StrCat("127.0.0.1:", FreePort());
  std::unique_ptr<Program> proxy_;
};

TEST_F(BotProxyTest, ContactsAreStoredBeforeTheBotHearsOfThem) {
  StartProxy();
  AwaitProxy();
  const std::int64_t first = api_.AddMessage(101, "a");
  json updates = UpdatesOf(Ask("getUpdates?timeout=5"));
  ASSERT_EQ(updates.size(), 1u);
  EXPECT_TRUE(IsStored(101));
  EXPECT_EQ(updates[0]["message"]["text"], "a");
  EXPECT_EQ(updates[0]["userprofile"]["recognized"], "new");
  EXPECT_EQ(updates[0]["userprofile"]["profile"]["user_id"], "101");

  // They are new for as long as that update is not confirmed.
  updates = UpdatesOf(Ask("getUpdates"));
  EXPECT_EQ(updates[0]["userprofile"]["recognized"], "new");
  api_.AddMessage(101, "b");
  api_.Add({{"poll", {{"id", "1"}}}});
  updates = UpdatesOf(Ask(absl::StrCat("getUpdates?offset=", first + 1)));
  ASSERT_EQ(updates.size(), 2u);
  EXPECT_EQ(updates[0]["userprofile"]["recognized"], "returning");
  EXPECT_FALSE(updates[1].contains("userprofile"));
  EXPECT_THAT(proxy_->errors(), Not(HasSubstr(api_.token())));
}

TEST_F(BotProxyTest, OtherMethodsPassAndWhoBlockedTheBotIsNotActive) {
  StartProxy();
  AwaitProxy();
  EXPECT_EQ(json::parse(Ask("getMe").body)["result"]["username"], "test_bot");
  EXPECT_EQ(Ask("sendMessage?chat_id=201&text=hello").status, 200);
  ASSERT_EQ(api_.sent().size(), 1u);
  EXPECT_EQ(api_.sent()[0].text, "hello");

  v1::UpsertUserResponse stored;
  ASSERT_TRUE(Upsert(*server_->NewStub(), 201, &stored).ok());
  ASSERT_TRUE(IsActive(201));
  api_.SetBlockedBy(201);
  const HttpAnswer answer = HttpClient(address_).Post(
      PathOf(api_.token(), "sendMessage"), R"({"chat_id":201,"text":"x"})");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(json::parse(answer.body)["description"],
            "Forbidden: bot was blocked by the user");
  EXPECT_TRUE(Eventually([&] { return !IsActive(201); }));
  EXPECT_TRUE(IsStored(201));
}

TEST_F(BotProxyTest, TelegramsErrorsPassAsTheyAre) {
  StartProxy();
  AwaitProxy();
  for (const char* method : {"getUpdates", "getMe"}) {
    api_.FailNext(1);
    EXPECT_EQ(Ask(method).status, 502);
    api_.FailNext(1);
    EXPECT_EQ(Ask(method).body, "<html>Bad Gateway</html>");
    api_.LimitNext(1, 7);
    const HttpAnswer limited = Ask(method);
    EXPECT_EQ(limited.status, 429);
    EXPECT_EQ(json::parse(limited.body)["parameters"]["retry_after"], 7);
    const HttpAnswer unknown =
        HttpClient(address_).Get(PathOf("7:WRONG", method));
    EXPECT_EQ(unknown.status, 401);
    EXPECT_EQ(json::parse(unknown.body)["description"], "Unauthorized");
  }
  EXPECT_EQ(Ask("noSuchMethod").status, 404);
  EXPECT_THAT(proxy_->errors(), Not(HasSubstr("WRONG")));

  // A webhook passes the proxy by, and that is said.
  EXPECT_EQ(Ask("setWebhook?url=http://127.0.0.1:1/").status, 200);
  EXPECT_TRUE(Eventually(
      [&] { return absl::StrContains(proxy_->errors(), "setWebhook"); }));
  EXPECT_THAT(proxy_->errors(), HasSubstr("userprofile-adapter webhook"));
  EXPECT_EQ(Ask("getUpdates").status, 409);
  EXPECT_EQ(Ask("deleteWebhook").status, 200);
  EXPECT_EQ(Ask("getUpdates").status, 200);
}

TEST_F(BotProxyTest, WhileTheServiceIsAwayAPollIsSlowOrEmptyAndNeverAnError) {
  StartProxy();
  AwaitProxy();
  server_->program().Kill();
  api_.AddMessage(301, "a");
  for (const int timeout : {0, 1, 2}) {
    const SteadyTime begin = SteadyTime::Now();
    EXPECT_EQ(UpdatesOf(Ask(absl::StrCat("getUpdates?timeout=", timeout))),
              json::array());
    EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(timeout + 3));
  }
  // What is nobody's contact does not overtake it.
  api_.Add({{"poll", {{"id", "1"}}}});
  EXPECT_EQ(UpdatesOf(Ask("getUpdates")), json::array());

  // All else goes on.
  EXPECT_EQ(Ask("sendMessage?chat_id=301&text=hello").status, 200);

  // A poll that waits is answered as soon as it is back.
  std::thread back([&] { server_->StartReady(); });
  const json updates = UpdatesOf(Ask("getUpdates?timeout=25"));
  back.join();
  ASSERT_EQ(updates.size(), 2u);
  EXPECT_EQ(updates[0]["userprofile"]["recognized"], "new");
  EXPECT_TRUE(IsStored(301));
}

// A Bot API for any number of bots: each has one update, given out once a
// number of them asks, and files.
class ManyBotsApi {
 public:
  // By TLS, if there is a certificate.
  explicit ManyBotsApi(const Certificate* certificate = nullptr)
      : url_(certificate == nullptr ? "http://127.0.0.1:"
                                    : "https://localhost:"),
        server_([this](const auto& request) { return Serve(request); },
                certificate) {}

  std::string url() const { return absl::StrCat(url_, server_.port()); }
  void AwaitPolls(int polls) { awaited_ = polls; }
  int polls() const { return polls_; }

  // What was sent to it last.
  std::string body() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return body_;
  }

  static std::string File() {
    std::string file("\0\r\n\xff file ", 10);
    while (file.size() < (50u << 20)) file += file;
    return file;
  }

 private:
  HttpResponse Serve(const HttpRequest& request) {
    if (absl::StartsWith(request.path, "/file/")) {
      return {200, File(), "application/octet-stream"};
    }
    if (!absl::EndsWith(request.path, "/getUpdates")) {
      const std::lock_guard<std::mutex> lock(mutex_);
      body_ = request.body;
      return {200, R"({"ok":true,"result":{}})", "application/json"};
    }
    ++polls_;
    (void)Eventually([this] { return polls_ >= awaited_; });
    std::int64_t bot = 0;
    const std::size_t id = request.path.find_first_of("0123456789");
    (void)absl::SimpleAtoi(request.path.substr(id, request.path.find(':') - id),
                           &bot);
    const json from = {
        {"id", 10'000 + bot}, {"is_bot", false}, {"first_name", "A"}};
    const json message = {{"message_id", 1},
                          {"date", absl::ToUnixSeconds(absl::Now())},
                          {"chat", {{"id", 10'000 + bot}, {"type", "private"}}},
                          {"from", from}};
    const json answer = {
        {"ok", true}, {"result", {{{"update_id", 1}, {"message", message}}}}};
    return {200, answer.dump(), "application/json"};
  }

  std::atomic<int> awaited_ = 0;
  std::atomic<int> polls_ = 0;
  std::mutex mutex_;
  std::string body_;  // protected by it
  const std::string url_;
  HttpServer server_;
};

TEST_F(BotProxyTest, AHundredBotsPollAtOnceInLittleMemory) {
  constexpr int kBots = 100;
  // By TLS, as the real one is.
  const Certificate certificate;
  ManyBotsApi many(&certificate);
  many.AwaitPolls(kBots);
  StartProxy(many.url(), {{"SSL_CERT_FILE", certificate.certificate_file()}});
  AwaitProxy();
  std::vector<std::thread> bots;
  std::atomic<int> told = 0;
  for (int bot = 1; bot <= kBots; ++bot) {
    bots.emplace_back([&, bot] {
      const HttpAnswer answer = HttpClient(address_, absl::Seconds(60))
                                    .Get(PathOf(absl::StrCat(bot, ":TOKEN"),
                                                "getUpdates?timeout=50"));
      const json updates = UpdatesOf(answer);
      if (updates.size() == 1 &&
          updates[0]["userprofile"]["profile"]["user_id"] ==
              absl::StrCat(10'000 + bot) &&
          updates[0]["userprofile"]["recognized"] == "new") {
        ++told;
      }
    });
  }
  for (std::thread& bot : bots) bot.join();
  EXPECT_EQ(many.polls(), kBots);
  EXPECT_EQ(told, kBots);
  const int peak = proxy_->PeakMegabytes();
  RecordProperty("megabytes", peak);
  if (kIsMeasured) {
    EXPECT_LT(peak, 60);
  }
}

TEST_F(BotProxyTest, FilesPassBothWaysInFlatMemory) {
  ManyBotsApi many;
  StartProxy(many.url());
  AwaitProxy();
  const std::string file = ManyBotsApi::File();
  ASSERT_GE(file.size(), 50u << 20);
  HttpClient client(address_, absl::Seconds(60));
  ASSERT_EQ(client.Get(PathOf("1:TOKEN", "getMe")).status, 200);
  const int before = proxy_->PeakMegabytes();

  const HttpAnswer down = client.Get("/file/bot1:TOKEN/documents/a.bin");
  EXPECT_EQ(down.status, 200);
  EXPECT_TRUE(down.body == file) << down.body.size();
  const HttpAnswer up =
      client.Post(PathOf("1:TOKEN", "sendDocument"), file,
                  {{"Content-Type", "multipart/form-data; boundary=x"}});
  EXPECT_EQ(up.status, 200);
  EXPECT_TRUE(many.body() == file) << many.body().size();

  // In chunks, of which nobody says how many there will be.
  Connection connection(address_);
  ASSERT_TRUE(connection.Send(
      "POST /bot1:TOKEN/sendDocument HTTP/1.1\r\nHost: x\r\nConnection: "
      "close\r\nTransfer-Encoding: chunked\r\n\r\n"));
  constexpr std::size_t kChunk = 1 << 20;
  for (std::size_t at = 0; at < file.size(); at += kChunk) {
    const std::string chunk = file.substr(at, kChunk);
    ASSERT_TRUE(connection.Send(
        absl::StrCat(absl::Hex(chunk.size()), "\r\n", chunk, "\r\n")));
  }
  ASSERT_TRUE(connection.Send("0\r\n\r\n"));
  EXPECT_THAT(connection.ReadAll(absl::Seconds(60)), HasSubstr(" 200 "));
  EXPECT_TRUE(many.body() == file) << many.body().size();

  const int peak = proxy_->PeakMegabytes();
  RecordProperty("megabytes", peak - before);
  if (kIsMeasured) {
    EXPECT_LT(peak - before, 8);
  }
}

// Of many polls that find nothing.
absl::Duration MedianPoll(const std::string& address, const std::string& path) {
  constexpr int kPolls = 101;
  HttpClient client(address);
  std::vector<absl::Duration> taken;
  for (int i = 0; i < kPolls; ++i) {
    const SteadyTime begin = SteadyTime::Now();
    EXPECT_EQ(client.Get(path).status, 200);
    taken.push_back(SteadyTime::Now() - begin);
  }
  std::nth_element(taken.begin(), taken.begin() + kPolls / 2, taken.end());
  return taken[kPolls / 2];
}

TEST_F(BotProxyTest, APollTakesTwoMillisecondsMoreAtMost) {
  if (!kIsMeasured) GTEST_SKIP() << "time is not measured";
  StartProxy();
  AwaitProxy();
  const std::string path = PathOf(api_.token(), "getUpdates");
  // Others may be at work on this machine.
  absl::Duration more = absl::InfiniteDuration();
  EXPECT_TRUE(Eventually([&] {
    more = std::min(more,
                    MedianPoll(address_, path) - MedianPoll(api_.url(), path));
    return more < absl::Milliseconds(2);
  })) << more;
  RecordProperty("microseconds",
                 static_cast<int>(absl::ToInt64Microseconds(more)));
}

// What a bot was told of an update's sender, if it can see that.
struct Seen {
  std::int64_t update_id;
  std::string recognized;
};

// Users write to a bot while the proxy and the server are killed.
class BotProxyKillTest : public BotProxyTest {
 protected:
  static constexpr std::int64_t kUsers = 40;
  static constexpr int kKills = 5;  // of the proxy, and as many of the server

  // Everybody writes, and again until all is done. `handled` are the updates
  // that the bot has dealt with; all are, in the end.
  void RunThroughKills(const std::function<std::set<std::int64_t>()>& handled) {
    Come();
    int kills = 0;
    std::size_t count = 0;
    EXPECT_TRUE(Eventually(
        [&] {
          count = handled().size();
          if (kills < 2 * kKills && count > std::size_t(9 * kills)) {
            if (kills++ % 2 == 0) {
              proxy_->Kill();
              StartProxy();
            } else {
              server_->program().Kill();
              server_->Start();
            }
          }
          if (count < users_.size()) return false;
          if (kills < 2 * kKills) Come();
          return kills == 2 * kKills && api_.pending() == 0;
        },
        absl::Minutes(3)))
        << kills << " kills; " << count << " of " << users_.size()
        << " are handled, " << api_.pending() << " are left; "
        << proxy_->errors();
    ASSERT_TRUE(server_->AwaitReady());
    for (const auto& [user, update] : first_) EXPECT_TRUE(IsStored(user));
  }

  // Who is new is so for as long as their first update comes, and no longer.
  void ExpectToldRight(const std::vector<Seen>& all) {
    for (const Seen& seen : all) {
      const std::int64_t user = users_[seen.update_id];
      EXPECT_EQ(seen.recognized,
                first_[user] == seen.update_id ? "new" : "returning")
          << "user " << user << ", update " << seen.update_id;
    }
  }

 private:
  void Come() {
    for (std::int64_t i = 0; i < kUsers; ++i) {
      const std::int64_t user = first_user_ + i;
      const json update = {
          {"message",
           {{"message_id", 1},
            {"date", absl::ToUnixSeconds(absl::Now())},
            {"chat", {{"id", user}, {"type", "private"}}},
            {"from", {{"id", user}, {"is_bot", false}, {"first_name", "A"}}},
            {"text", "/start"},
            {"entities",
             {{{"type", "bot_command"}, {"offset", 0}, {"length", 6}}}}}}};
      const std::int64_t id = api_.Add(update);
      first_.emplace(user, id);
      users_.emplace(id, user);
    }
  }

  // The tests share a server: each has users of its own.
  inline static std::int64_t next_user_ = 50'000;
  const std::int64_t first_user_ = next_user_ += kUsers;
  std::map<std::int64_t, std::int64_t> first_;  // update of each user
  std::map<std::int64_t, std::int64_t> users_;  // of each update
};

// A bot that greets everybody, by an API root and nothing else. It confirms
// what it has answered, and what it was in the middle of comes again.
class GreetingBot {
 public:
  GreetingBot(std::string address, std::string token)
      : address_(std::move(address)),
        token_(std::move(token)),
        thread_([this] { Run(); }) {}
  ~GreetingBot() {
    stopping_ = true;
    thread_.join();
  }

  std::vector<Seen> seen() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
  }
  std::set<std::int64_t> handled() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return handled_;
  }

 private:
  void Run() {
    HttpClient client(address_, absl::Seconds(20));
    std::int64_t offset = 0;
    while (!stopping_) {
      const HttpAnswer answer =
          client.Get(absl::StrCat("/bot", token_,
                                  "/getUpdates?timeout=1&limit="
                                  "7&offset=",
                                  offset));
      if (!answer) {
        // As frameworks do; the proxy is being started.
        absl::SleepFor(absl::Milliseconds(20));
        continue;
      }
      EXPECT_EQ(answer.status, 200) << answer.body;
      const json parsed = json::parse(answer.body, nullptr, false);
      if (!parsed.is_object() || !parsed["result"].is_array()) continue;
      for (const json& update : parsed["result"]) {
        if (!Handle(client, update)) break;
        offset = update["update_id"].get<std::int64_t>() + 1;
      }
    }
  }

  // Whether it was answered.
  bool Handle(HttpClient& client, const json& update) {
    const std::int64_t user = update["message"]["from"]["id"];
    const std::int64_t id = update["update_id"];
    const std::string recognized =
        update.contains("userprofile")
            ? update["userprofile"]["recognized"].get<std::string>()
            : "not told";
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      seen_.push_back({id, recognized});
    }
    const HttpAnswer sent = client.Post(
        absl::StrCat("/bot", token_, "/sendMessage"),
        json({{"chat_id", user}, {"text", absl::StrCat("hello ", recognized)}})
            .dump());
    if (sent.status != 200) return false;
    const std::lock_guard<std::mutex> lock(mutex_);
    handled_.insert(id);
    return true;
  }

  const std::string address_;
  const std::string token_;
  std::mutex mutex_;  // protects what follows
  std::vector<Seen> seen_;
  std::set<std::int64_t> handled_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

TEST_F(BotProxyKillTest, NoUpdateIsLostAndNobodyKnownIsNew) {
  StartProxy();
  AwaitProxy();
  GreetingBot bot(address_, api_.token());
  RunThroughKills([&bot] { return bot.handled(); });
  ExpectToldRight(bot.seen());
}

// The first example of a framework, of which nothing is changed but where the
// Bot API is.
class FirstBotTest : public BotProxyKillTest {
 protected:
  void RunBotThroughKills(std::vector<std::string> words) {
    words_ = std::move(words);
    StartProxy();
    AwaitProxy();
    StartBot();
    RunThroughKills([this] {
      // As whatever looks after bots would.
      if (!bot_->running()) {
        said_ += bot_->output();
        StartBot();
      }
      std::set<std::int64_t> handled;
      for (const Seen& seen : AllSeen()) handled.insert(seen.update_id);
      return handled;
    });
    EXPECT_GT(api_.sent().size(), std::size_t{kUsers}) << bot_->errors();
  }

  // As it says by lines "UPDATE_ID RECOGNIZED".
  std::vector<Seen> AllSeen() const {
    std::vector<Seen> all;
    const std::string said = absl::StrCat(said_, bot_->output());
    // The last line may still be written.
    const std::size_t end = said.rfind('\n');
    for (const absl::string_view line :
         absl::StrSplit(said.substr(0, end == said.npos ? 0 : end), '\n',
                        absl::SkipEmpty())) {
      const std::pair<std::string, std::string> words =
          absl::StrSplit(line, absl::MaxSplits(' ', 1));
      std::int64_t id = 0;
      if (absl::SimpleAtoi(words.first, &id)) {
        all.push_back({id, words.second});
      }
    }
    return all;
  }

 private:
  void StartBot() {
    bot_ = std::make_unique<Program>(Program::Options{
        words_,
        {{"BOT_TOKEN", api_.token()},
         {"API_ROOT", absl::StrCat("http://", address_)},
         {"NODE_PATH", absl::StrCat(kNodePackages, "/node_modules")},
         {"PYTHONDONTWRITEBYTECODE", "1"}}});
  }

  std::vector<std::string> words_;
  std::unique_ptr<Program> bot_;
  std::string said_;  // by those that ended
};

constexpr char kFirstBots[] =
    USERPROFILE_SOURCE_DIR "/tests/stories/first_bots/";

class FirstNodeBotTest : public FirstBotTest,
                         public ::testing::WithParamInterface<const char*> {};

TEST_P(FirstNodeBotTest, HearsOfEveryUpdateAndWhoItIsFrom) {
  // Not compiled, and slow enough by itself.
  if (!kIsMeasured) GTEST_SKIP() << "a sanitizer sees nothing of it";
  if (!HasNodePackages()) GTEST_SKIP() << "npm does not reach its registry";
  RunBotThroughKills(
      {"/usr/bin/env", "node", absl::StrCat(kFirstBots, GetParam(), ".js")});
  ExpectToldRight(AllSeen());
}

INSTANTIATE_TEST_SUITE_P(Frameworks, FirstNodeBotTest,
                         ::testing::Values("grammy", "telegraf",
                                           "node-telegram-bot-api"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

// Version 13, as Debian 12 has it.
bool HasPythonTelegramBot() {
  const Outcome outcome =
      RunProgram({{"/bin/bash", "-c",
                   USERPROFILE_SOURCE_DIR
                   "/deploy/local/install.sh python3-python-telegram-bot && "
                   "/usr/bin/python3 -Wignore -c 'import sys, telegram; "
                   "sys.exit(not telegram.__version__.startswith(\"13.\"))'"},
                  {},
                  ""},
                 absl::Minutes(10));
  return outcome.exit_code == 0;
}

TEST_F(FirstBotTest, OfPythonTelegramBotHearsOfEveryUpdate) {
  if (!kIsMeasured) GTEST_SKIP() << "a sanitizer sees nothing of it";
  if (!HasPythonTelegramBot()) {
    GTEST_SKIP() << "there is no python-telegram-bot here";
  }
  RunBotThroughKills({"/usr/bin/python3", absl::StrCat(kFirstBots, "ptb.py")});
}

}  // namespace
}  // namespace userprofile::testing
