// The double of the Bot API behaves as Telegram's documentation says.

#include "tests/support/bot_api.h"

#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/http_client.h"
#include "tests/support/http_server.h"
#include "tests/support/program.h"

namespace userprofile::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

class BotApiTest : public ::testing::Test {
 protected:
  json Call(const std::string& method, const std::string& parameters = "") {
    HttpClient client(api_.url(), absl::Seconds(60));
    const HttpAnswer answer = client.Get(
        absl::StrCat("/bot", api_.token(), "/", method, "?", parameters));
    return json::parse(answer.body, nullptr, false);
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
  EXPECT_EQ(HttpClient(api_.url()).Get("/bot1:x/getUpdates").status, 401);
  api_.LimitNext(1, 7);
  EXPECT_EQ(Call("getUpdates")["parameters"]["retry_after"], 7);
  EXPECT_EQ(Call("getUpdates")["ok"], true);
}

TEST_F(BotApiTest, DeliversToAWebhookUntilItIsTakenAndDoesWhatTheAnswerSays) {
  std::mutex mutex;
  std::vector<std::string> seen;
  const HttpServer bot([&](const HttpRequest& request) -> HttpResponse {
    const json update = json::parse(request.body);
    std::lock_guard<std::mutex> lock(mutex);
    seen.push_back(
        absl::StrCat(request.Header("X-Telegram-Bot-Api-Secret-Token"), " ",
                     update["message"]["text"].get<std::string>()));
    if (seen.size() < 3) return {503};
    return {200, R"({"method": "sendMessage", "chat_id": 1, "text": "yes"})",
            "application/json"};
  });
  api_.AddMessage(1, "a");
  api_.AddMessage(1, "b");
  api_.SetWebhook(absl::StrCat("http://", bot.address(), "/hook"), "secret");
  EXPECT_TRUE(Eventually([&] { return api_.pending() == 0; }));
  EXPECT_THAT(seen,
              ElementsAre("secret a", "secret a", "secret a", "secret b"));
  EXPECT_EQ(api_.failed_deliveries(), 2);
  EXPECT_EQ(api_.sent().size(), 2u);
  EXPECT_EQ(Call("getUpdates")["error_code"], 409);
  api_.SetWebhook("", "");
}

}  // namespace
}  // namespace userprofile::testing
