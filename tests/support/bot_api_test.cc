// The double of the Bot API behaves as Telegram's documentation says.

#include "tests/support/bot_api.h"

#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "httplib.h"
#include "tests/support/program.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

class BotApiTest : public ::testing::Test {
 protected:
  json Call(const std::string& method, const std::string& parameters = "") {
    httplib::Client client(api_.url());
    const auto answer = client.Get(
        absl::StrCat("/bot", api_.token(), "/", method, "?", parameters));
    return answer ? json::parse(answer->body, nullptr, false) : json();
  }

  std::vector<std::int64_t> Ids(const json& answer) {
    std::vector<std::int64_t> ids;
    for (const json& update : answer.at("result")) {
      ids.push_back(update.at("update_id").get<std::int64_t>());
    }
    return ids;
  }

  BotApi api_;
};

TEST_F(BotApiTest, AnUpdateIsGivenOutUntilAHigherOffsetConfirmsIt) {
  const std::int64_t first = api_.AddMessage(1, "a");
  const std::int64_t second = api_.AddMessage(2, "b");
  EXPECT_THAT(Ids(Call("getUpdates")), ElementsAre(first, second));
  EXPECT_THAT(Ids(Call("getUpdates", absl::StrCat("offset=", first))),
              ElementsAre(first, second));
  EXPECT_THAT(Ids(Call("getUpdates", absl::StrCat("offset=", second))),
              ElementsAre(second));
  EXPECT_THAT(Ids(Call("getUpdates", "limit=1")), ElementsAre(second));
  EXPECT_THAT(Ids(Call("getUpdates", absl::StrCat("offset=", second + 1))),
              ElementsAre());
  EXPECT_EQ(api_.pending(), 0u);
}

TEST_F(BotApiTest, ANegativeOffsetForgetsAllButTheLast) {
  for (const char* text : {"a", "b", "c"}) api_.AddMessage(1, text);
  EXPECT_EQ(Ids(Call("getUpdates", "offset=-2")).size(), 2u);
  EXPECT_EQ(api_.pending(), 2u);
}

TEST_F(BotApiTest, ALongPollEndsWithTheNextUpdate) {
  auto poll = std::async(std::launch::async,
                         [this] { return Call("getUpdates", "timeout=30"); });
  ASSERT_TRUE(Eventually([this] { return api_.calls("getUpdates") == 1; }));
  const std::int64_t id = api_.AddMessage(1, "a");
  EXPECT_THAT(Ids(poll.get()), ElementsAre(id));
}

TEST_F(BotApiTest, ASecondPollEndsTheFirst) {
  auto first = std::async(std::launch::async,
                          [this] { return Call("getUpdates", "timeout=30"); });
  ASSERT_TRUE(Eventually([this] { return api_.calls("getUpdates") == 1; }));
  EXPECT_EQ(Call("getUpdates")["ok"], true);
  EXPECT_EQ(first.get()["error_code"], 409);
}

TEST_F(BotApiTest, RefusesAWrongTokenAndTooManyCalls) {
  httplib::Client client(api_.url());
  EXPECT_EQ(client.Get("/bot1:x/getUpdates")->status, 401);
  api_.LimitNext(1, 7);
  EXPECT_EQ(Call("getUpdates")["parameters"]["retry_after"], 7);
  EXPECT_EQ(Call("getUpdates")["ok"], true);
}

TEST_F(BotApiTest, DeliversToAWebhookUntilItIsTakenAndDoesWhatTheAnswerSays) {
  httplib::Server bot;
  std::mutex mutex;
  std::vector<std::string> seen;
  bot.Post("/hook",
           [&](const httplib::Request& request, httplib::Response& response) {
             const json update = json::parse(request.body);
             std::lock_guard<std::mutex> lock(mutex);
             seen.push_back(absl::StrCat(
                 request.get_header_value("X-Telegram-Bot-Api-Secret-Token"),
                 " ", update["message"]["text"].get<std::string>()));
             if (seen.size() < 3) {
               response.status = 503;
               return;
             }
             response.set_content(
                 R"({"method": "sendMessage", "chat_id": 1, "text": "yes"})",
                 "application/json");
           });
  const int port = bot.bind_to_any_port("127.0.0.1");
  std::thread listening([&] { bot.listen_after_bind(); });
  api_.AddMessage(1, "a");
  api_.AddMessage(1, "b");
  api_.SetWebhook(absl::StrCat("http://127.0.0.1:", port, "/hook"), "secret");
  EXPECT_TRUE(Eventually([&] { return api_.pending() == 0; }));
  EXPECT_THAT(seen,
              ElementsAre("secret a", "secret a", "secret a", "secret b"));
  EXPECT_EQ(api_.failed_deliveries(), 2);
  EXPECT_EQ(api_.sent().size(), 2u);
  EXPECT_EQ(Call("getUpdates")["error_code"], 409);
  bot.stop();
  listening.join();
}

}  // namespace
}  // namespace userprofile::testing
