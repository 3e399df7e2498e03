// The adapter between the Bot API and a bot, as a program: what it lets
// through, what it refuses, and what it waits out.

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/read_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/stories/server_story.h"
#include "tests/support/bot_api.h"
#include "tests/support/free_port.h"
#include "tests/support/http_client.h"
#include "tests/support/http_server.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kSecret[] = "webhook-secret";
constexpr char kSecretHeader[] = "X-Telegram-Bot-Api-Secret-Token";

// A bot that writes down what it gets, and answers as the test says.
class RecordingBot {
 public:
  struct Seen {
    std::string text;
    std::string recognized;
    json profile;
    std::string secret;
  };

  using Answer = std::function<void(const Seen&, HttpResponse&)>;

  std::string url() const {
    return absl::StrCat("http://", server_.address(), "/update");
  }
  void AnswerBy(Answer answer) {
    std::lock_guard<std::mutex> lock(mutex_);
    answer_ = std::move(answer);
  }
  std::vector<Seen> seen() {
    std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
  }
  // What it got, each as "text recognized".
  std::vector<std::string> InShort() {
    std::vector<std::string> result;
    for (const Seen& seen : seen()) {
      result.push_back(absl::StrCat(seen.text, " ", seen.recognized));
    }
    return result;
  }

 private:
  HttpResponse Take(const HttpRequest& request) {
    HttpResponse response;
    if (request.path != "/update") return {404};
    const json update = json::parse(request.body);
    Seen seen;
    seen.text = update.value("/message/text"_json_pointer, "");
    seen.recognized = request.Header("X-User-Recognized");
    seen.secret = request.Header("X-Telegram-Bot-Api-Secret-Token");
    std::string profile;
    absl::WebSafeBase64Unescape(request.Header("X-User-Profile"), &profile);
    seen.profile = json::parse(profile, nullptr, false);
    Answer answer;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      seen_.push_back(seen);
      answer = answer_;
    }
    if (answer) answer(seen, response);
    return response;
  }

  std::mutex mutex_;
  std::vector<Seen> seen_;
  Answer answer_;
  HttpServer server_{[this](const auto& request) { return Take(request); }};
};

void SetContent(HttpResponse& response, const std::string& body,
                const std::string& content_type) {
  response.body = body;
  response.content_type = content_type;
}

class SidecarTest : public ServerStory {
 protected:
  void Start(const std::string& mode, std::vector<std::string> flags,
             std::map<std::string, std::string> environment) {
    std::vector<std::string> words = {
        "userprofile-adapter", mode,         "--server",     server_->address(),
        "--forward-to",        bot_.url(),   "--api-listen", "127.0.0.1:0",
        "--admin-listen",      "127.0.0.1:0"};
    words.insert(words.end(), flags.begin(), flags.end());
    adapter_ = std::make_unique<Program>(
        Program::Options{std::move(words), std::move(environment)});
    ASSERT_TRUE(Eventually([this] {
      return absl::StrContains(adapter_->errors(),
                               "for people and probes on") ||
             !adapter_->running();
    })) << adapter_->errors();
  }

  // The address that the adapter said behind these words.
  std::string AddressAfter(const std::string& words) const {
    const std::string log = adapter_->errors();
    const std::size_t begin = log.find(words + " http://");
    EXPECT_NE(begin, std::string::npos) << log;
    const std::size_t address = begin + words.size() + 1;
    return log.substr(address, log.find_first_of(",\n", address) - address);
  }

  HttpAnswer Admin(const std::string& path) const {
    return HttpClient(AddressAfter("for people and probes on")).Get(path);
  }

  bool IsStored(std::int64_t user) const {
    v1::GetProfileResponse response;
    return Get(*server_->NewStub(), user, &response).ok();
  }

  RecordingBot bot_;
  BotApi api_;
  std::unique_ptr<Program> adapter_;
};

class WebhookTest : public SidecarTest {
 protected:
  void SetUp() override {
    Start("webhook", {"--listen", "127.0.0.1:0"},
          {{"USERPROFILE_WEBHOOK_SECRET", kSecret}});
  }

  // What the adapter answers to a body.
  int Post(const std::string& body, const std::string& secret = kSecret) {
    return HttpClient(AddressAfter("taking updates on"))
        .Post("/", body, {{kSecretHeader, secret}})
        .status;
  }

  static std::string Update(std::int64_t user, const std::string& text) {
    const json from = {
        {"id", user}, {"is_bot", false}, {"first_name", "Ada\"\xe2\x98\x83"}};
    return json({{"update_id", 1},
                 {"message",
                  {{"message_id", 1},
                   {"date", 1760000000},
                   {"chat", {{"id", user}, {"type", "private"}}},
                   {"from", from},
                   {"text", text}}}})
        .dump();
  }
};

TEST_F(WebhookTest, TheBotLearnsWhoItIs) {
  EXPECT_EQ(Post(Update(101, "a")), 200);
  EXPECT_EQ(Post(Update(101, "b")), 200);
  EXPECT_EQ(Post(R"({"update_id": 2, "poll": {"id": "1"}})"), 200);
  EXPECT_THAT(bot_.InShort(), ElementsAre("a new", "b returning", " ignored"));
  const RecordingBot::Seen seen = bot_.seen()[1];
  EXPECT_EQ(seen.secret, kSecret);
  EXPECT_EQ(seen.profile["user_id"], "101");
  EXPECT_EQ(seen.profile["first_name"], "Ada\"\xe2\x98\x83");
  EXPECT_EQ(seen.profile["onboarding_completed"], false);
  EXPECT_FALSE(seen.profile.contains("nickname"));
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_total{recognized="
                        "\"returning\"} 1"));
}

TEST_F(WebhookTest, PassesTheBotsAnswerBack) {
  bot_.AnswerBy([](const RecordingBot::Seen&, HttpResponse& response) {
    response.status = 418;
    SetContent(response, "tea", "text/x-tea");
  });
  HttpClient client(AddressAfter("taking updates on"));
  const HttpAnswer answer =
      client.Post("/any/path", Update(101, "a"), {{kSecretHeader, kSecret}});
  EXPECT_EQ(answer.status, 418);
  EXPECT_EQ(answer.body, "tea");
  EXPECT_EQ(answer.Header("Content-Type"), "text/x-tea");
}

TEST_F(WebhookTest, BadCallsChangeNothing) {
  const std::string update = Update(201, "a");
  EXPECT_EQ(Post(update, ""), 401);
  EXPECT_EQ(Post(update, "webhook-secreT"), 401);
  EXPECT_EQ(Post(update, std::string(5000, 'x')), 401);
  EXPECT_EQ(Post("", kSecret), 400);
  EXPECT_EQ(Post(update.substr(1)), 400);
  EXPECT_EQ(Post(update + update), 400);
  EXPECT_EQ(Post("[]"), 400);
  EXPECT_EQ(Post("{}"), 400);
  EXPECT_EQ(Post(std::string("{\"update_id\": 1, \"x\": \"\0\"}", 26)), 400);
  EXPECT_EQ(Post(R"({"update_id": 1, "message": {"from": {"id": "201"}}})"),
            400);
  EXPECT_EQ(Post(Update(201, std::string(1024 * 1024, 'x'))), 413);
  EXPECT_EQ(Post(std::string(500 * 1024, '[')), 400);
  EXPECT_FALSE(IsStored(201));
  EXPECT_TRUE(bot_.seen().empty());
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_webhook_refused_total{code="
                        "\"401\"} 3"));
  EXPECT_THAT(adapter_->errors(), Not(HasSubstr(kSecret)));
  EXPECT_EQ(Post(update), 200) << "and good ones are still taken";
}

TEST_F(WebhookTest, TextThatIsNotUnicodeIsReplacedAndNobodyWaits) {
  std::string update = Update(251, "a?");
  update.replace(update.find('?'), 1, "\xff\\ud800");
  EXPECT_EQ(Post(update), 200);
  EXPECT_THAT(bot_.InShort(), ElementsAre("a\xef\xbf\xbd\xef\xbf\xbd new"));
}

TEST_F(WebhookTest, WhatIsOfNobodyWaitsForNobody) {
  // The bot holds each of them until it has all.
  bot_.AnswerBy([this](const RecordingBot::Seen& seen, HttpResponse&) {
    if (seen.recognized != "ignored") return;
    EXPECT_TRUE(Eventually([this] { return bot_.seen().size() == 3; }));
  });
  std::vector<std::thread> posts;
  for (int i = 0; i < 3; ++i) {
    posts.emplace_back([this] {
      EXPECT_EQ(Post(R"({"update_id": 1, "channel_post": {"text": "x"}})"),
                200);
    });
  }
  for (std::thread& post : posts) post.join();
}

TEST_F(WebhookTest, AFormIsNoUpdate) {
  HttpClient client(AddressAfter("taking updates on"));
  const std::string form =
      "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n";
  HttpClient::Headers headers = {
      {"Content-Type", "multipart/form-data; boundary=x"}};
  EXPECT_EQ(client.Post("/", form, headers).status, 401);
  headers[kSecretHeader] = kSecret;
  EXPECT_EQ(client.Post("/", form, headers).status, 400);
}

TEST_F(WebhookTest, AStrangersBodyIsNotWaitedFor) {
  Connection connection(AddressAfter("taking updates on"));
  ASSERT_TRUE(connection.Send(
      "POST / HTTP/1.1\r\nHost: x\r\nX-Telegram-Bot-Api-Secret-Token: guess\r\n"
      "Content-Length: 1000\r\n\r\n"));
  // The adapter waits longer for a body.
  EXPECT_THAT(connection.ReadAll(absl::Seconds(5)),
              StartsWith("HTTP/1.1 401 "));
  EXPECT_TRUE(connection.over());
  EXPECT_THAT(Admin("/metrics").body, HasSubstr("{code=\"401\"} 1"));
}

// A proxy such as nginx sends the requests of many clients on one connection.
TEST_F(WebhookTest, NothingOfAStrangersRequestIsTakenForTelegrams) {
  const std::string update = Update(261, "hidden");
  const std::string hidden = absl::StrCat(
      "POST / HTTP/1.1\r\nHost: x\r\n", kSecretHeader, ": ", kSecret,
      "\r\nContent-Length: ", update.size(), "\r\n\r\n", update);
  for (const std::string method : {"POST", "PUT", "GET", "BREW"}) {
    Connection connection(AddressAfter("taking updates on"));
    (void)connection.Send(absl::StrCat(
        method, " / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n",
        "Content-Length: ", hidden.size(), "\r\n\r\n", hidden, hidden));
    EXPECT_THAT(connection.ReadAll(absl::Seconds(5)),
                AllOf(StartsWith("HTTP/1.1 401 "), Not(HasSubstr(" 200 "))));
    EXPECT_TRUE(connection.over());
  }
  EXPECT_TRUE(bot_.seen().empty());
}

TEST_F(WebhookTest, ABodyInChunksIsLimitedToo) {
  Connection connection(AddressAfter("taking updates on"));
  ASSERT_TRUE(connection.Send(
      absl::StrCat("POST / HTTP/1.1\r\nHost: x\r\n", kSecretHeader, ": ",
                   kSecret, "\r\nTransfer-Encoding: chunked\r\n\r\n")));
  const std::string chunk =
      absl::StrCat("10000\r\n", std::string(64 * 1024, ' '), "\r\n");
  int chunks = 0;
  while (chunks < 1000 && connection.Send(chunk)) ++chunks;
  EXPECT_LT(chunks, 1000);
  EXPECT_THAT(Admin("/metrics").body, HasSubstr("{code=\"413\"} 1"));
}

TEST_F(WebhookTest, StopsWhateverAClientDoes) {
  Connection dripping(AddressAfter("taking updates on"));
  Connection dripping_api(AddressAfter("for the bot's calls on"));
  std::atomic<bool> ended = false;
  std::thread drips([&] {
    const std::string begin = "POST / HTTP/1.1\r\nX: ";
    for (std::size_t i = 0; !ended; ++i) {
      const std::string byte(1, i < begin.size() ? begin[i] : 'x');
      (void)dripping.Send(byte);
      (void)dripping_api.Send(byte);
      absl::SleepFor(absl::Milliseconds(50));
    }
  });
  EXPECT_EQ(Post(Update(271, "a")), 200);
  const absl::Time begin = absl::Now();
  adapter_->Signal(SIGTERM);
  EXPECT_EQ(adapter_->Wait(), 0);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(3));
  ended = true;
  drips.join();
}

TEST_F(WebhookTest, NothingIsTakenWhileTheServiceIsAway) {
  server_->program().Kill();
  // Enough for an answer: a contact whose answer comes too late is there, and
  // then nobody new.
  Start("webhook", {"--listen", "127.0.0.1:0", "--timeout", "2s"},
        {{"USERPROFILE_WEBHOOK_SECRET", kSecret}});
  EXPECT_EQ(Post(Update(301, "a")), 503);
  EXPECT_TRUE(bot_.seen().empty());
  EXPECT_EQ(Admin("/readyz").status, 200);
  server_->StartReady();
  EXPECT_TRUE(Eventually([&] { return Post(Update(301, "a")) == 200; }));
  EXPECT_TRUE(IsStored(301));
  EXPECT_THAT(bot_.InShort(), ElementsAre("a new"));
}

TEST_F(WebhookTest, OneUsersUpdatesAreInOrderWhileOthersPass) {
  // The bot holds user 401's first update until it has seen another user.
  bot_.AnswerBy([this](const RecordingBot::Seen& seen, HttpResponse&) {
    if (seen.text != "first") return;
    EXPECT_TRUE(Eventually([this] {
      for (const auto& other : bot_.seen()) {
        if (other.text == "other") return true;
      }
      return false;
    }));
  });
  std::thread first([&] { EXPECT_EQ(Post(Update(401, "first")), 200); });
  EXPECT_TRUE(Eventually([&] { return bot_.seen().size() == 1; }));
  std::thread second([&] { EXPECT_EQ(Post(Update(401, "second")), 200); });
  EXPECT_EQ(Post(Update(402, "other")), 200);
  first.join();
  second.join();
  EXPECT_THAT(bot_.InShort(),
              ElementsAre("first new", "other new", "second returning"));
}

TEST_F(WebhookTest, TheBotCallsTheServiceByHttpAndJson) {
  ASSERT_EQ(Post(Update(501, "a")), 200);
  HttpClient api(AddressAfter("for the bot's calls on"));
  const auto call = [&](const std::string& method, const json& request) {
    const HttpAnswer answer = api.Post(
        "/userprofile.v1.UserProfileService/" + method, request.dump());
    return std::make_pair(answer.status,
                          json::parse(answer.body, nullptr, false));
  };
  const json answers = {{"real_name", "Ada"}, {"nickname", "ada"}};
  auto [status, body] =
      call("CompleteOnboarding", {{"user_id", 501}, {"answers", answers}});
  EXPECT_EQ(status, 200);
  EXPECT_EQ(body["profile"]["nickname"], "ada");
  std::tie(status, body) = call("GetProfile", {{"userId", "501"}});
  EXPECT_EQ(status, 200);
  EXPECT_EQ(body["profile"]["onboarding_completed"], true);
  std::tie(status, body) = call("GetProfile", {{"user_id", 599}});
  EXPECT_EQ(status, 404);
  EXPECT_EQ(body["code"], "not_found");
  EXPECT_EQ(body["details"][0]["type"], "google.rpc.ErrorInfo");
  EXPECT_EQ(body["details"][0]["debug"]["reason"], "USER_NOT_FOUND");
  std::tie(status, body) =
      call("CompleteOnboarding",
           {{"user_id", 501}, {"answers", {{"nickname", ""}}}});
  EXPECT_EQ(status, 400);
  EXPECT_THAT(body.dump(), HasSubstr("answers.real_name"));
  // As the longest messages of Telegram are, in JSON that is all escaped.
  std::string longest;
  for (int i = 0; i < 4096; ++i) longest += "\xd8\xb3";
  const HttpAnswer refused =
      api.Post("/userprofile.v1.UserProfileService/CompleteOnboarding",
               json({{"user_id", 501},
                     {"answers",
                      {{"real_name", longest},
                       {"nickname", longest},
                       {"study_track", longest},
                       {"grade_year", longest}}}})
                   .dump(-1, ' ', /*ensure_ascii=*/true));
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("answers.grade_year"));
  std::tie(status, body) = call("GetProfile", {{"user", "Secret"}});
  EXPECT_EQ(status, 400);
  EXPECT_EQ(Post(Update(501, "b")), 200);
  EXPECT_THAT(bot_.InShort(), ElementsAre("a new", "b onboarded"));
}

class PollTest : public SidecarTest {
 protected:
  void Poll(std::vector<std::string> flags = {}) {
    flags.insert(flags.end(), {"--bot-api-url", api_.url()});
    Start("poll", std::move(flags), {{"USERPROFILE_BOT_TOKEN", api_.token()}});
  }
  void AwaitAllConfirmed() {
    EXPECT_TRUE(Eventually([this] { return api_.pending() == 0; }))
        << adapter_->errors();
  }
};

TEST_F(PollTest, BringsUpdatesAndDoesWhatTheAnswerSays) {
  bot_.AnswerBy([](const RecordingBot::Seen& seen, HttpResponse& response) {
    SetContent(response,
               json({{"method", "sendMessage"},
                     {"chat_id", 601},
                     {"text", "re: " + seen.text}})
                   .dump(),
               "application/json");
  });
  Poll();
  api_.AddMessage(601, "a");
  api_.AddMessage(601, "b");
  AwaitAllConfirmed();
  EXPECT_THAT(bot_.InShort(), ElementsAre("a new", "b returning"));
  ASSERT_EQ(api_.sent().size(), 2u);
  EXPECT_EQ(api_.sent()[1].text, "re: b");
  EXPECT_EQ(Admin("/readyz").status, 200);
  EXPECT_THAT(adapter_->errors(), Not(HasSubstr(api_.token())));
}

TEST_F(PollTest, WaitsOutPausesAndFailuresOfTheBotApi) {
  api_.LimitNext(1, 1);
  Poll();
  api_.AddMessage(701, "a");
  AwaitAllConfirmed();
  api_.FailNext(2);
  api_.AddMessage(701, "b");
  AwaitAllConfirmed();
  EXPECT_THAT(bot_.InShort(), ElementsAre("a new", "b returning"));
  EXPECT_THAT(adapter_->errors(), HasSubstr("asks for a pause"));
  EXPECT_THAT(adapter_->errors(), Not(HasSubstr(api_.token())));
}

TEST_F(PollTest, FollowsTelegramToLowerIds) {
  Poll({"--poll-timeout", "1s"});
  api_.SetNextUpdateId(900000);
  api_.AddMessage(801, "a");
  AwaitAllConfirmed();
  // A poll that finds nothing has confirmed all; the next one begins anew.
  const int polls = api_.calls("getUpdates");
  EXPECT_TRUE(
      Eventually([&] { return api_.calls("getUpdates") >= polls + 2; }));
  api_.SetNextUpdateId(5);
  api_.AddMessage(801, "b");
  EXPECT_TRUE(Eventually([this] { return bot_.seen().size() >= 2; }));
}

TEST_F(PollTest, WaitsForABotThatIsAwayAndConfirmsNothing) {
  std::atomic<bool> away = true;
  bot_.AnswerBy([&](const RecordingBot::Seen&, HttpResponse& response) {
    if (away) response.status = 503;
  });
  Poll({"--attempts", "2"});
  api_.AddMessage(901, "a");
  EXPECT_TRUE(Eventually([this] { return bot_.seen().size() >= 4; }));
  EXPECT_EQ(api_.pending(), 1u);
  EXPECT_EQ(Admin("/readyz").status, 503);
  EXPECT_EQ(Admin("/readyz").body, "bot: the bot answers with status 503\n");
  away = false;
  AwaitAllConfirmed();
  EXPECT_EQ(Admin("/readyz").status, 200);
}

TEST_F(PollTest, PassesOverWhatTheBotRefusesAgainAndAgain) {
  bot_.AnswerBy([](const RecordingBot::Seen& seen, HttpResponse& answer) {
    if (seen.text == "bad") answer.status = 500;
  });
  Poll({"--attempts", "2"});
  api_.AddMessage(951, "bad");
  api_.AddMessage(951, "good");
  AwaitAllConfirmed();
  EXPECT_THAT(bot_.InShort(),
              ElementsAre("bad new", "bad new", "good returning"));
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 1"));
}

// A wrong path, say.
TEST_F(PollTest, WhatTheBotRefusesOfEverybodyIsWaitedOut) {
  std::atomic<bool> wrong = true;
  bot_.AnswerBy([&](const RecordingBot::Seen&, HttpResponse& answer) {
    if (wrong) answer.status = 404;
  });
  Poll({"--attempts", "3"});
  for (int user = 1701; user <= 1704; ++user) api_.AddMessage(user, "a");
  EXPECT_TRUE(Eventually([this] { return bot_.seen().size() >= 20; }));
  EXPECT_EQ(api_.pending(), 4u);
  EXPECT_EQ(Admin("/readyz").status, 503);
  EXPECT_THAT(Admin("/readyz").body,
              AllOf(HasSubstr("refuses everybody"), HasSubstr("status 404")));
  wrong = false;
  AwaitAllConfirmed();
  EXPECT_EQ(Admin("/readyz").status, 200);
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 0"));
}

// More than Telegram gives out, so that others are not even seen.
TEST_F(PollTest, AFewUsersCantStopTheBotForAll) {
  bot_.AnswerBy([](const RecordingBot::Seen& seen, HttpResponse& answer) {
    if (seen.text == "bad") answer.status = 500;
  });
  Poll({"--attempts", "2"});
  for (int i = 0; i < 120; ++i) api_.AddMessage(1711 + i % 4, "bad");
  api_.AddMessage(1720, "good");
  AwaitAllConfirmed();
  EXPECT_THAT(bot_.InShort(), Contains("good new"));
}

TEST_F(PollTest, WhatIsPassedOverIsKeptAndCanBeReplayed) {
  std::atomic<bool> broken = true;
  bot_.AnswerBy([&](const RecordingBot::Seen& seen, HttpResponse& answer) {
    if (seen.text == "bad" && broken) {
      answer.status = 500;
    } else if (seen.text == "bad") {
      SetContent(answer,
                 R"({"method": "sendMessage", "chat_id": 1731, "text": "yes"})",
                 "application/json");
    }
  });
  const std::string letters = *directory_ / "letters";
  const std::string again = *directory_ / "again";
  Poll({"--attempts", "2", "--dead-letter", letters});
  for (const char* text : {"bad", "good"}) api_.AddMessage(1731, text);
  AwaitAllConfirmed();
  const auto replay = [&] {
    return RunProgram(
        {{"userprofile-adapter", "replay", letters, "--server",
          server_->address(), "--forward-to", bot_.url(), "--bot-api-url",
          api_.url(), "--attempts", "2", "--dead-letter", again},
         {{"USERPROFILE_BOT_TOKEN", api_.token()}}});
  };
  Outcome outcome = replay();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("1 updates were passed over again"));
  EXPECT_EQ(*base::ReadFile(again), *base::ReadFile(letters));
  broken = false;
  outcome = replay();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  EXPECT_EQ(bot_.InShort().back(), "bad new") << "the first that they wrote";
  ASSERT_EQ(api_.sent().size(), 1u);
  EXPECT_EQ(api_.sent()[0].text, "yes");
}

TEST_F(PollTest, WhatCantBeKeptIsNotPassedOver) {
  std::atomic<bool> broken = true;
  bot_.AnswerBy([&](const RecordingBot::Seen&, HttpResponse& answer) {
    if (broken) answer.status = 500;
  });
  const std::string folder = *directory_ / "folder";
  std::filesystem::create_directory(folder);
  Poll({"--attempts", "2", "--dead-letter", folder + "/file"});
  std::filesystem::remove_all(folder);
  api_.AddMessage(1741, "a");
  EXPECT_TRUE(Eventually([this] { return bot_.seen().size() >= 4; }));
  EXPECT_EQ(api_.pending(), 1u);
  EXPECT_THAT(Admin("/readyz").body, HasSubstr("can't be kept"));
  broken = false;
  AwaitAllConfirmed();
  EXPECT_EQ(Admin("/readyz").status, 200);
}

// As a bot of few users has it whose path is wrong.
TEST_F(PollTest, AWrongPathCostsNoUpdateHoweverManyWait) {
  std::atomic<bool> wrong = true;
  bot_.AnswerBy([&](const RecordingBot::Seen&, HttpResponse& answer) {
    if (wrong) answer.status = 404;
  });
  Poll({"--attempts", "2"});
  for (int i = 0; i < 120; ++i) api_.AddMessage(1751 + i % 10, "a");
  api_.Add({{"channel_post", {{"chat", {{"id", -1}, {"type", "channel"}}}}}});
  EXPECT_TRUE(Eventually([this] { return bot_.seen().size() >= 60; }));
  EXPECT_EQ(api_.pending(), 121u);
  wrong = false;
  AwaitAllConfirmed();
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 0"));
}

// However seldom others come: they show that it is not the bot's error.
TEST_F(PollTest, UpdatesThatAlwaysFailAreNotTheBotsErrorOnceItTookOne) {
  bot_.AnswerBy([](const RecordingBot::Seen& seen, HttpResponse& answer) {
    if (seen.text == "bad") answer.status = 500;
  });
  Poll({"--attempts", "3"});
  for (int user = 1761; user <= 1764; ++user) api_.AddMessage(user, "bad");
  EXPECT_TRUE(Eventually([this] { return bot_.seen().size() >= 12; }));
  EXPECT_EQ(api_.pending(), 4u);
  api_.AddMessage(1765, "good");
  AwaitAllConfirmed();
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 4"));
}

TEST_F(PollTest, AnAnswerThatTelegramCantActOnHoldsNobodyUp) {
  bot_.AnswerBy([](const RecordingBot::Seen&, HttpResponse& answer) {
    SetContent(answer, R"({"method": "sendMesage", "chat_id": 961})",
               "application/json");
  });
  Poll();
  api_.AddMessage(961, "a");
  api_.AddMessage(962, "b");
  AwaitAllConfirmed();
  EXPECT_EQ(bot_.seen().size(), 2u);
  EXPECT_THAT(adapter_->errors(), HasSubstr("does not know this method"));
}

TEST_F(PollTest, AnAnswerOfAnyDepthIsSurvived) {
  bot_.AnswerBy([](const RecordingBot::Seen&, HttpResponse& answer) {
    SetContent(
        answer,
        absl::StrCat(R"({"method": "sendMessage", "a": )",
                     std::string(500000, '['), std::string(500000, ']'), "}"),
        "application/json");
  });
  Poll();
  api_.AddMessage(991, "a");
  AwaitAllConfirmed();
  EXPECT_TRUE(adapter_->running());
}

// Nobody else need be served meanwhile, as one would that shows that a bot is
// not merely overloaded.
TEST_F(PollTest, AnAnswerThatIsTooLongIsNoOverload) {
  bot_.AnswerBy([](const RecordingBot::Seen&, HttpResponse& answer) {
    SetContent(answer, std::string(2 * 1024 * 1024, 'x'), "text/plain");
  });
  Poll({"--attempts", "2"});
  api_.AddMessage(1001, "long");
  AwaitAllConfirmed();
  EXPECT_EQ(bot_.seen().size(), 2u);
}

// Each of these fails for ever, in a way of its own, and each user has one more
// behind it.
TEST_F(PollTest, AnUpdateThatAlwaysFailsStopsNobodyAndIsPassedOver) {
  constexpr int kAttempts = 3;
  const std::vector<std::string> kinds = {"slow", "long", "broken",
                                          "500",  "404",  "503"};
  bot_.AnswerBy([](const RecordingBot::Seen& seen, HttpResponse& answer) {
    int status = 0;
    if (seen.text == "slow") {
      absl::SleepFor(absl::Seconds(1));
    } else if (seen.text == "long") {
      SetContent(answer, std::string(2 * 1024 * 1024, 'x'), "text/plain");
    } else if (seen.text == "broken") {
      answer.body = "broken";
      answer.breaks_off = true;
    } else if (absl::SimpleAtoi(seen.text, &status)) {
      answer.status = status;
    }
  });
  Poll({"--attempts", "3", "--forward-timeout", "300ms"});
  std::int64_t user = 1100;
  for (const std::string& kind : kinds) {
    api_.AddMessage(++user, kind);
    api_.AddMessage(user, "after " + kind);
  }
  const auto times = [this](const std::string& text) {
    const auto seen = bot_.seen();
    return std::count_if(seen.begin(), seen.end(),
                         [&](const auto& one) { return one.text == text; });
  };
  // More than Telegram gives out behind those that fail.
  for (int i = 0; i < 150; ++i) api_.AddMessage(2000 + i, "other");
  EXPECT_TRUE(Eventually([&] { return times("other") >= 80; }));
  EXPECT_EQ(times("after slow"), 0);
  AwaitAllConfirmed();
  EXPECT_EQ(times("other"), 150);
  for (const std::string& kind : kinds) {
    // What may be an outage, be it no connection on a busy machine, counts from
    // when it worked for others.
    EXPECT_GE(times(kind), kAttempts) << kind;
    EXPECT_LE(times(kind), 50) << kind;
    EXPECT_EQ(times("after " + kind), 1) << kind;
  }
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 6"));
}

TEST_F(PollTest, WhatIsOfNobodyWaitsForNobody) {
  bot_.AnswerBy([this](const RecordingBot::Seen&, HttpResponse&) {
    EXPECT_TRUE(Eventually([this] { return bot_.seen().size() == 3; }));
  });
  Poll();
  for (int i = 0; i < 3; ++i) api_.Add({{"channel_post", {{"text", "x"}}}});
  AwaitAllConfirmed();
  EXPECT_EQ(bot_.seen().size(), 3u);
}

TEST_F(PollTest, APauseOfOneChatIsThatUsersOnly) {
  bot_.AnswerBy([](const RecordingBot::Seen& seen, HttpResponse& response) {
    SetContent(response,
               json({{"method", "sendMessage"},
                     {"chat_id", std::stoi(seen.text)},
                     {"text", "yes"}})
                   .dump(),
               "application/json");
  });
  const auto refused = std::make_shared<std::atomic<int>>(0);
  api_.LieBy([refused](const std::string& method,
                       const json& arguments) -> std::optional<BotApi::Raw> {
    if (method != "sendMessage") return std::nullopt;
    const int chat = arguments.value("chat_id", 0);
    int pause = 0;
    if (chat == 1202 && (*refused)++ == 0) pause = 2;
    if (chat == 1203) pause = 3600;
    if (pause == 0) return std::nullopt;
    return BotApi::Raw{429, json({{"ok", false},
                                  {"error_code", 429},
                                  {"parameters", {{"retry_after", pause}}}})
                                .dump()};
  });
  Poll();
  const absl::Time begin = absl::Now();
  for (const int user : {1203, 1202, 1202, 1201}) {
    api_.AddMessage(user, absl::StrCat(user));
  }
  AwaitAllConfirmed();
  EXPECT_GE(absl::Now() - begin, absl::Seconds(2)) << "it did not wait";
  std::vector<std::int64_t> chats;
  for (const BotApi::Sent& sent : api_.sent()) chats.push_back(sent.chat_id);
  EXPECT_THAT(chats, ElementsAre(1201, 1202, 1202));
  EXPECT_EQ(bot_.seen().size(), 4u) << "the bot has taken them";
}

TEST_F(PollTest, ABotApiFarAwayIsMovedOnToo) {
  bot_.AnswerBy([](const RecordingBot::Seen&, HttpResponse&) {
    absl::SleepFor(absl::Milliseconds(200));
  });
  api_.LieBy(
      [](const std::string& method, const json&) -> std::optional<BotApi::Raw> {
        if (method == "getUpdates") absl::SleepFor(absl::Milliseconds(350));
        return std::nullopt;
      });
  Poll();
  // More than Telegram gives at once.
  for (int user = 4001; user <= 4150; ++user) api_.AddMessage(user, "x");
  AwaitAllConfirmed();
  EXPECT_EQ(bot_.seen().size(), 150u);
}

TEST_F(PollTest, AnAnswerIsKeptWhileTheBotApiTakesNone) {
  bot_.AnswerBy([](const RecordingBot::Seen&, HttpResponse& response) {
    SetContent(response,
               R"({"method": "sendMessage", "chat_id": 1501, "text": "yes"})",
               "application/json");
  });
  const auto refused = std::make_shared<std::atomic<int>>(0);
  api_.LieBy([refused](const std::string& method,
                       const json&) -> std::optional<BotApi::Raw> {
    if (method != "sendMessage" || (*refused)++ == 6) return std::nullopt;
    return BotApi::Raw{502, "<html>"};
  });
  Poll({"--attempts", "3"});
  api_.AddMessage(1501, "x");
  AwaitAllConfirmed();
  EXPECT_EQ(api_.sent().size(), 1u);
}

TEST_F(PollTest, AUserWhomTheBotNeverTakesCostsTheAttemptsOfOneUpdate) {
  bot_.AnswerBy([](const RecordingBot::Seen& seen, HttpResponse& response) {
    if (seen.text == "bad") response.status = 500;
  });
  Poll({"--attempts", "3"});
  for (int i = 0; i < 105; ++i) api_.AddMessage(1601, "bad");
  api_.AddMessage(1602, "good");
  AwaitAllConfirmed();
  EXPECT_EQ(bot_.seen().size(), 3u + 104u + 1u);
}

TEST_F(PollTest, AUserWhomTheBotNeverAnswersInTimeHoldsOthersUpForSeconds) {
  std::atomic<bool> slow = true;
  bot_.AnswerBy([&](const RecordingBot::Seen& seen, HttpResponse&) {
    if (seen.text == "bad" && slow) absl::SleepFor(absl::Milliseconds(700));
  });
  Poll({"--attempts", "2", "--forward-timeout", "500ms"});
  // More than Telegram gives out, so that others are not even seen.
  for (int i = 0; i < 105; ++i) api_.AddMessage(1651, "bad");
  api_.AddMessage(1652, "other");
  EXPECT_TRUE(Eventually(
      [this] {
        // Perhaps with some of those behind it that Telegram gave out later.
        const auto seen = bot_.InShort();
        return std::count(seen.begin(), seen.end(), "other new") == 1;
      },
      absl::Seconds(20)));
  AwaitAllConfirmed();
  EXPECT_LT(bot_.seen().size(), 20u);
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 105"));
  // One that comes later is brought to the bot as ever.
  slow = false;
  api_.AddMessage(1651, "bad");
  api_.AddMessage(1651, "good");
  AwaitAllConfirmed();
  EXPECT_EQ(bot_.InShort().back(), "good returning");
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 105"));
}

TEST_F(PollTest, TheServiceHearsOfWhatIsPassedOverUntried) {
  bot_.AnswerBy([](const RecordingBot::Seen&, HttpResponse&) {
    absl::SleepFor(absl::Milliseconds(700));
  });
  Poll({"--attempts", "2", "--forward-timeout", "500ms"});
  for (int i = 0; i < 10; ++i) api_.AddMessage(1661, "bad");
  const json user = {{"id", 1661}, {"is_bot", false}, {"first_name", "Ada"}};
  api_.Add({{"my_chat_member",
             {{"chat", {{"id", 1661}, {"type", "private"}}},
              {"from", user},
              {"date", absl::ToUnixSeconds(absl::Now())},
              {"old_chat_member", {{"user", user}, {"status", "member"}}},
              {"new_chat_member", {{"user", user}, {"status", "kicked"}}}}}});
  AwaitAllConfirmed();
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 11"));
  EXPECT_LT(bot_.seen().size(), 10u);
  v1::GetProfileResponse stored;
  EXPECT_TRUE(Get(*server_->NewStub(), 1661, &stored).ok());
  EXPECT_FALSE(stored.profile().is_active());
}

TEST_F(PollTest, WhateverTheBotApiSaysItIsAskedAFewTimesASecond) {
  const auto update = [](const std::string& id) {
    return absl::StrCat(R"({"ok":true,"result":[{)", id, R"("poll":{}}]})");
  };
  const std::string deep(200000, '['), deep_end(200000, ']');
  const struct {
    const char* label;
    int status;
    std::string body;
  } lies[] = {
      {"empty at once", 200, R"({"ok":true,"result":[]})"},
      {"the same again", 200, update(R"("update_id":NEXT,)")},
      {"no update_id", 200, update("")},
      {"negative", 200, update(R"("update_id":-5,)")},
      {"2^63-2", 200, update(R"("update_id":9223372036854775806,)")},
      {"2^63-1", 200, update(R"("update_id":9223372036854775807,)")},
      {"2^64-1", 200, update(R"("update_id":18446744073709551615,)")},
      {"a text", 200, update(R"("update_id":"7",)")},
      {"a redirect", 302, update(R"("update_id":5000,)")},
      {"deep", 200,
       absl::StrCat(R"({"ok":true,"result":[)", deep, deep_end, "]}")},
      {"a deep update", 200,
       update(absl::StrCat(R"("update_id":NEXT,"x":)", deep, deep_end, ","))},
      {"no JSON", 200, deep},
  };
  Poll();
  std::atomic<std::int64_t> lowest = 0, highest = 0;
  for (const auto& lie : lies) {
    std::atomic<int> calls = 0;
    const absl::Time begin = absl::Now();
    // Which ends the poll that waits.
    const std::int64_t next = api_.AddMessage(1301, "hello") + 1;
    api_.SetNextUpdateId(next + 1);
    const std::string body =
        absl::StrReplaceAll(lie.body, {{"NEXT", absl::StrCat(next)}});
    api_.LieBy([&](const std::string&,
                   const json& arguments) -> std::optional<BotApi::Raw> {
      const std::int64_t offset = arguments.value("offset", std::int64_t{0});
      lowest = std::min<std::int64_t>(lowest, offset);
      highest = std::max<std::int64_t>(highest, offset);
      ++calls;
      return BotApi::Raw{lie.status, body};
    });
    EXPECT_TRUE(Eventually([&] { return calls >= 4; })) << lie.label;
    EXPECT_GE(absl::Now() - begin, absl::Milliseconds(550)) << lie.label;
    EXPECT_TRUE(adapter_->running()) << lie.label;
    api_.LieBy(nullptr);
    AwaitAllConfirmed();
  }
  EXPECT_EQ(lowest, 0);
  EXPECT_LE(highest, api_.AddMessage(1301, "last"));
  AwaitAllConfirmed();
  EXPECT_EQ(bot_.InShort().back(), "last returning");
  const auto seen = bot_.InShort();
  EXPECT_EQ(std::count(seen.begin(), seen.end(), " ignored"), 2);
}

TEST_F(PollTest, TextThatIsNotUnicodeIsReplacedAndNobodyWaits) {
  api_.AddMessage(1401, "a?");
  api_.AddMessage(1402, "b");
  const auto calls = std::make_shared<std::atomic<int>>(0);
  api_.LieBy([calls](const std::string&,
                     const json&) -> std::optional<BotApi::Raw> {
    if ((*calls)++ > 0) return std::nullopt;
    const auto message = [](int id, int user, const std::string& text) {
      return absl::StrCat(R"({"update_id":)", id, R"(,"message":{"date":1,)",
                          R"("chat":{"type":"private"},"from":{"id":)", user,
                          R"(,"is_bot":false,"first_name":"A)", text,
                          R"("},"text":")", text, R"("}})");
    };
    return BotApi::Raw{200, absl::StrCat(R"({"ok":true,"result":[)",
                                         message(1000, 1401, "\xff\\ud800"),
                                         ",", message(1001, 1402, "b"), "]}")};
  });
  Poll();
  AwaitAllConfirmed();
  EXPECT_THAT(bot_.InShort(), ::testing::UnorderedElementsAre(
                                  "\xef\xbf\xbd\xef\xbf\xbd new", "b new"));
}

TEST_F(PollTest, ABotThatBreaksOffAtAnUpdateHoldsNobodyUp) {
  bot_.AnswerBy([](const RecordingBot::Seen& seen, HttpResponse& answer) {
    if (seen.text != "bad") return;
    answer.body = "broken";
    answer.breaks_off = true;
  });
  Poll({"--attempts", "2"});
  api_.AddMessage(971, "bad");
  api_.AddMessage(971, "good");
  AwaitAllConfirmed();
  EXPECT_THAT(bot_.InShort(),
              ElementsAre("bad new", "bad new", "good returning"));
  EXPECT_THAT(Admin("/metrics").body,
              HasSubstr("userprofile_adapter_updates_refused_total 1"));
}

TEST_F(PollTest, FlagsComeFromAFileAndFromTheEnvironmentToo) {
  const std::string file = *directory_ / "adapter.toml";
  std::ofstream(file) << "server = \"" << server_->address() << "\"\n"
                      << "bot-api-url = \"" << api_.url() << "\"\n"
                      << "forward-to = \"http://127.0.0.1:1/\"\n"
                      << "api-listen = \"127.0.0.1:0\"\n"
                      << "admin-listen = \"127.0.0.1:0\"\n";
  adapter_ = std::make_unique<Program>(
      Program::Options{{"userprofile-adapter", "poll", "--config", file},
                       {{"USERPROFILE_BOT_TOKEN", api_.token()},
                        {"USERPROFILE_FORWARD_TO", bot_.url()}}});
  api_.AddMessage(981, "a");
  AwaitAllConfirmed();
  EXPECT_THAT(bot_.InShort(), ElementsAre("a new"));
}

TEST_F(PollTest, StopConfirmsWhatIsDone) {
  Poll();
  api_.AddMessage(1001, "a");
  EXPECT_TRUE(Eventually([this] { return bot_.seen().size() == 1; }));
  adapter_->Signal(SIGTERM);
  EXPECT_EQ(adapter_->Wait(absl::Seconds(10)), 0);
  EXPECT_EQ(api_.pending(), 0u);
}

TEST_F(PollTest, EndsWhenTheTokenIsWrong) {
  Start("poll", {"--bot-api-url", api_.url()},
        {{"USERPROFILE_BOT_TOKEN", "1:wrong"}});
  EXPECT_EQ(adapter_->Wait(), 1);
  EXPECT_THAT(adapter_->errors(), HasSubstr("does not know this bot token"));
  EXPECT_THAT(adapter_->errors(), Not(HasSubstr("1:wrong")));
}

TEST(SidecarUsageTest, WrongUsageIsExplained) {
  TempDir directory;
  std::ofstream(directory / "empty").close();
  std::ofstream(directory / "token") << "1:token";
  std::ofstream(directory / "unknown-key") << "bot-token = \"1:token\"";
  const std::vector<std::string> good = {
      "userprofile-adapter", "poll",         "--server",
      "127.0.0.1:1",         "--forward-to", "http://127.0.0.1:1/"};
  struct {
    std::vector<std::string> flags;
    const char* expected;
  } cases[] = {
      {{}, "no bot token: USERPROFILE_BOT_TOKEN is not set"},
      {{"--bot-token-file", directory / "empty"}, "empty"},
      {{"--bot-api-url", "ftp://x"}, "--bot-api-url is a URL"},
      {{"--forward-to", "http://u:p@host/"}, "--forward-to"},
      {{"--forward-timeout", "0"}, "--forward-timeout"},
      {{"--timeout", "soon"}, "--timeout"},
      {{"--timeout", "inf"}, "--timeout"},
      {{"--in-flight", "0"}, "--in-flight"},
      {{"--bot-token-file", directory / "token", "--tls-ca-file", "ca.pem"},
       "go with --tls"},
      {{"--config", directory / "unknown-key"}, "bot-token"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> words = good;
    words.insert(words.end(), c.flags.begin(), c.flags.end());
    const Outcome outcome = RunProgram({words});
    EXPECT_EQ(outcome.exit_code, 2) << c.expected;
    EXPECT_THAT(outcome.errors, HasSubstr(c.expected));
    EXPECT_THAT(outcome.errors, Not(HasSubstr("1:token")));
  }
  std::vector<std::string> open = good;
  open[1] = "webhook";
  open.insert(open.end(), {"--listen", "0.0.0.0:0"});
  const Outcome outcome =
      RunProgram({open, {{"USERPROFILE_WEBHOOK_SECRET", kSecret}}});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.errors, HasSubstr("--insecure"));
}

}  // namespace
}  // namespace userprofile::testing
