#include "client/adapter/bot_api_proxy.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "client/adapter/testing.h"
#include "tests/support/captured_log.h"
#include "tests/support/http_client.h"
#include "tests/support/http_server.h"
#include "userprofile/client/mock_profile_client.h"

namespace userprofile::adapter {
namespace {

using base::SteadyTime;
using nlohmann::json;
using ::testing::_;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Return;
using ::testing::StartsWith;
using ::userprofile::testing::CapturedLog;
using ::userprofile::testing::Connection;
using ::userprofile::testing::HttpAnswer;
using ::userprofile::testing::HttpClient;
using ::userprofile::testing::HttpRequest;
using ::userprofile::testing::HttpResponse;
using ::userprofile::testing::HttpServer;

constexpr char kPath[] = "/bot12:SECRET/";
constexpr char kForm[] = "application/x-www-form-urlencoded";
constexpr char kBlocked[] = R"({"ok":false,"error_code":403,"description":)"
                            R"("Forbidden: bot was blocked by the user"})";

bool Eventually(const std::function<bool()>& condition) {
  const SteadyTime end = SteadyTime::Now() + absl::Seconds(20);
  while (!condition()) {
    if (SteadyTime::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

class BotApiProxyTest : public ::testing::Test {
 protected:
  BotApiProxyTest() { Start(); }
  ~BotApiProxyTest() override {
    hold_.Set();
    EXPECT_THAT(log_.text(), Not(HasSubstr("SECRET")));
  }

  void Start(int threads = 8) {
    server_ = nullptr;
    proxy_ = std::make_unique<BotApiProxy>(
        HttpUrl{absl::StrCat("http://", telegram_->address()), "/prefix"},
        service_, metrics_, stop_);
    auto server = ops::HttpServer::Start("127.0.0.1:0",
                                         {.threads = threads,
                                          .requests_per_connection = 1000,
                                          .silence = absl::Seconds(30),
                                          .transfer = absl::Seconds(30)},
                                         proxy_->Handler());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  HttpAnswer Get(const std::string& method_and_query) {
    return HttpClient(server_->address(), absl::Seconds(30))
        .Get(kPath + method_and_query);
  }
  HttpAnswer Post(const std::string& method_and_query, const std::string& body,
                  const std::string& type) {
    return HttpClient(server_->address(), absl::Seconds(30))
        .Post(kPath + method_and_query, body, {{"Content-Type", type}});
  }

  HttpResponse Serve(const HttpRequest& request) {
    HttpResponse response;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      requests_.push_back(request);
      response = response_;
    }
    if (absl::StrContains(request.path, "hold") ||
        request.arguments.count("hold") > 0) {
      hold_.WaitFor(absl::Seconds(30));
    }
    return response;
  }

  void AnswerWith(HttpResponse response) {
    const std::lock_guard<std::mutex> lock(mutex_);
    response_ = std::move(response);
  }
  void AnswerUpdates(const std::vector<std::string>& updates) {
    std::string text;
    for (const std::string& update : updates) {
      absl::StrAppend(&text, text.empty() ? "" : ",", update);
    }
    AnswerWith({200, absl::StrCat(R"({"ok":true,"result":[)", text, "]}"),
                "application/json"});
  }

  // Those that Telegram got.
  std::vector<HttpRequest> requests() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return requests_;
  }

  CapturedLog log_;
  std::mutex mutex_;
  HttpResponse response_;              // protected by it
  std::vector<HttpRequest> requests_;  // too
  StopEvent hold_;
  ::testing::StrictMock<client::MockProfileClient> service_;
  AdapterMetrics metrics_;
  StopEvent stop_;
  std::unique_ptr<HttpServer> telegram_ = std::make_unique<HttpServer>(
      [this](const HttpRequest& request) { return Serve(request); });
  std::unique_ptr<BotApiProxy> proxy_;
  std::unique_ptr<ops::HttpServer> server_;
};

TEST_F(BotApiProxyTest, UpdatesSayWhoTheyAreFrom) {
  AnswerUpdates({MessageOf(7, 1), R"({"update_id":2,"poll":{}})",
                 R"({"update_id":3,"of_tomorrow":{"from":{"id":8}}})"});
  v1::UpsertUserResponse response;
  response.set_created(true);
  response.mutable_profile()->set_user_id(7);
  v1::UpsertUserRequest contact;
  EXPECT_CALL(service_, UpsertUser(_))
      .WillOnce([&](const v1::UpsertUserRequest& request) {
        contact = request;
        return response;
      });
  const HttpAnswer answer = Get("getUpdates?offset=5&timeout=0");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.Header("Content-Type"), "application/json");
  const json updates = json::parse(answer.body)["result"];
  EXPECT_EQ(updates[0]["userprofile"]["recognized"], "new");
  EXPECT_EQ(updates[0]["userprofile"]["profile"]["user_id"], "7");
  EXPECT_FALSE(updates[1].contains("userprofile"));
  EXPECT_FALSE(updates[2].contains("userprofile"));
  EXPECT_EQ(contact.user_id(), 7);
  EXPECT_EQ(contact.event_id(), "12:1");
  EXPECT_EQ(requests().at(0).path, "/prefix/bot12:SECRET/getUpdates");
  EXPECT_EQ(requests().at(0).arguments["offset"], "5");
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("updates_total{recognized=\"new\"} 1\n"));
}

TEST_F(BotApiProxyTest, GetUpdatesIsTakenInEveryForm) {
  AnswerUpdates({});
  for (const auto& [body, type] :
       {std::pair{R"({"offset":5,"timeout":0})", "application/json"},
        {"offset=5&timeout=0", kForm},
        {"", "application/json"}}) {
    const HttpAnswer answer = Post("GetUpdates", body, type);
    EXPECT_EQ(answer.body, R"({"ok":true,"result":[]})");
    EXPECT_EQ(requests().back().body, body);
    EXPECT_EQ(requests().back().Header("Content-Type"), type);
  }
  EXPECT_EQ(Post("getUpdates", std::string(1 << 20, 'x'), kForm).status, 413);
}

TEST_F(BotApiProxyTest, AllElseGoesThroughAsItIs) {
  HttpResponse image{206, std::string("\0\r\n\xff", 4), "image/png",
                     "X-Of-Theirs: a\r\nSet-Cookie: b\r\nSet-Cookie: c\r\n"};
  AnswerWith(image);
  HttpClient client(server_->address());
  HttpAnswer answer = client.Get("/file/bot12:SECRET/a%2Fb/../c.png?x=%20");
  EXPECT_EQ(answer.status, 206);
  EXPECT_EQ(answer.body, image.body);
  EXPECT_EQ(answer.Header("Content-Type"), "image/png");
  EXPECT_EQ(answer.Header("X-Of-Theirs"), "a");
  EXPECT_EQ(answer.Header("Content-Length"), "4");
  EXPECT_EQ(requests().back().method, "GET");
  EXPECT_EQ(requests().back().path, "/prefix/file/bot12:SECRET/a%2Fb/../c.png");

  // A body as large as it may be, and again by the same connection.
  std::string body(std::size_t{3} << 20, '\0');
  body += "end";
  answer = client.Post("/bot12:SECRET/sendDocument", body,
                       {{"Content-Type", "multipart/form-data; boundary=x"},
                        {"Accept-Encoding", "gzip"},
                        {"Connection", "keep-alive"},
                        {"X-Of-Mine", "1"}});
  EXPECT_EQ(answer.status, 206);
  const HttpRequest request = requests().back();
  EXPECT_EQ(request.method, "POST");
  EXPECT_TRUE(request.body == body);
  EXPECT_EQ(request.Header("X-Of-Mine"), "1");
  EXPECT_EQ(request.Header("Content-Type"), "multipart/form-data; boundary=x");
  EXPECT_EQ(request.Header("Accept-Encoding"), "");
  EXPECT_THAT(request.Header("Host"), StartsWith("127.0.0.1:"));
}

TEST_F(BotApiProxyTest, ChunkedAndPipelinedRequestsAreAnsweredInTheirOrder) {
  AnswerWith({200, "{}", "application/json"});
  Connection connection(server_->address());
  ASSERT_TRUE(connection.Send(
      "POST /bot12:SECRET/a HTTP/1.1\r\nHost: x\r\n"
      "Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n2;x=y\r\n&b\r\n0\r\n\r\n"
      "GET /bot12:SECRET/getMe HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /bot12:SECRET/b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
      "Connection: close\r\n\r\nc=1"));
  const std::string answers = connection.ReadAll(absl::Seconds(20));
  EXPECT_THAT(answers, EndsWith("\r\n\r\n{}"));
  const auto got = requests();
  ASSERT_EQ(got.size(), 3u) << answers;
  EXPECT_EQ(got[0].body, "a=1&b");
  EXPECT_EQ(got[1].path, "/prefix/bot12:SECRET/getMe");
  EXPECT_EQ(got[2].body, "c=1");
}

TEST_F(BotApiProxyTest, OtherMethodsOfHttpAreRefusedInTheBotApisForm) {
  HttpClient client(server_->address());
  const HttpAnswer answer = client.Send("PUT", "/bot12:SECRET/getMe");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(json::parse(answer.body)["ok"], false);
  EXPECT_EQ(client.Send("OPTIONS", "*").status, 405);
  EXPECT_THAT(requests(), IsEmpty());
}

TEST_F(BotApiProxyTest, ErrorsOfTelegramPassAsTheyAre) {
  for (const auto& [status, body, type] :
       {std::tuple{401, R"({"ok":false,"error_code":401})", "application/json"},
        {409, R"({"ok":false,"error_code":409})", "application/json"},
        {429, R"({"ok":false,"parameters":{"retry_after":3}})",
         "application/json"},
        {500, "", "text/plain"},
        {502, "<html>Bad Gateway</html>", "text/html"}}) {
    AnswerWith({status, body, type, "Retry-After: 3\r\n"});
    for (const char* method : {"getUpdates", "sendMessage"}) {
      const HttpAnswer answer = Get(method);
      EXPECT_EQ(answer.status, status);
      EXPECT_EQ(answer.body, body);
      EXPECT_EQ(answer.Header("Content-Type"), type);
      EXPECT_EQ(answer.Header("Retry-After"), "3");
    }
  }
}

TEST_F(BotApiProxyTest, WhatIsNoListOfUpdatesIsNoAnswer) {
  for (const char* broken :
       {"", "<html>", "{}", "[]", R"({"ok":true,"result":{}})",
        R"({"ok":true,"result":[{"update_id":1})",
        R"({"ok":true,"result":[3]})"}) {
    AnswerWith({200, broken, "application/json"});
    const HttpAnswer answer = Get("getUpdates");
    EXPECT_EQ(answer.status, 502) << broken;
    EXPECT_EQ(json::parse(answer.body)["error_code"], 502);
    // No other method is looked at.
    EXPECT_EQ(Get("getMe").body, broken);
  }
  HttpResponse broken_off;
  broken_off.body = R"({"ok":true,"result":[]})";
  broken_off.breaks_off = true;
  AnswerWith(broken_off);
  EXPECT_EQ(Get("getUpdates").status, 502);
  EXPECT_FALSE(Get("getMe")) << "it is not whole";
}

TEST_F(BotApiProxyTest, ATelegramThatIsAwayIs502WithoutTheToken) {
  telegram_ = nullptr;
  for (const char* method : {"getUpdates", "sendMessage"}) {
    const HttpAnswer answer = Get(method);
    EXPECT_EQ(answer.status, 502);
    EXPECT_EQ(answer.Header("Content-Type"), "application/json");
    EXPECT_EQ(json::parse(answer.body)["ok"], false);
    EXPECT_THAT(answer.body, AllOf(HasSubstr("the Bot API can't be reached"),
                                   Not(HasSubstr("SECRET"))));
  }
  EXPECT_THAT(metrics_.Failing(), StartsWith("telegram: "));
}

TEST_F(BotApiProxyTest, WhileTheServiceIsAwayNoUpdateIsGivenOut) {
  AnswerUpdates({R"({"update_id":1,"poll":{}})", MessageOf(7, 2),
                 R"({"update_id":3,"poll":{}})"});
  EXPECT_CALL(service_, UpsertUser(_))
      .WillRepeatedly(Return(absl::UnavailableError("away")));
  for (const int timeout : {0, 2}) {
    const SteadyTime begin = SteadyTime::Now();
    const HttpAnswer answer = Get(absl::StrCat("getUpdates?timeout=", timeout));
    const absl::Duration taken = SteadyTime::Now() - begin;
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body,
              R"({"ok":true,"result":[{"update_id":1,"poll":{}}]})");
    EXPECT_GT(taken, absl::Seconds(timeout) + absl::Milliseconds(500));
    EXPECT_LT(taken, absl::Seconds(timeout + 4));
  }
  EXPECT_EQ(metrics_.Failing(), "service: away");
}

TEST_F(BotApiProxyTest, AServiceThatComesBackIsWaitedFor) {
  AnswerUpdates({MessageOf(7, 2)});
  EXPECT_CALL(service_, UpsertUser(_))
      .WillOnce(Return(absl::UnavailableError("away")))
      .WillOnce(Return(v1::UpsertUserResponse()));
  EXPECT_THAT(Get("getUpdates?timeout=20").body,
              HasSubstr(R"("recognized":"returning")"));
}

TEST_F(BotApiProxyTest, ABotThatLeavesIsPolledForNoMore) {
  // Else the call that it makes next would be ended by the one before.
  Start(/*threads=*/1);
  {
    Connection leaving(server_->address());
    ASSERT_TRUE(leaving.Send(absl::StrCat(
        "GET ", kPath,
        "getUpdates?timeout=50&hold=1 HTTP/1.1\r\nHost: x\r\n\r\n")));
    ASSERT_TRUE(Eventually([&] { return requests().size() == 1; }));
  }
  AnswerUpdates({});
  const SteadyTime begin = SteadyTime::Now();
  EXPECT_EQ(Get("getUpdates").status, 200);
  EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(10));
}

TEST_F(BotApiProxyTest, AStopEndsAPollWithoutUpdates) {
  AnswerUpdates({MessageOf(7, 2)});
  HttpAnswer answer;
  std::thread bot([&] { answer = Get("getUpdates?timeout=50&hold=1"); });
  EXPECT_TRUE(Eventually([&] { return requests().size() == 1; }));
  stop_.Set();
  bot.join();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"ok":true,"result":[]})");
}

TEST_F(BotApiProxyTest, SetWebhookPassesWithAWarning) {
  AnswerWith({200, R"({"ok":true,"result":true})", "application/json"});
  EXPECT_EQ(Post("setWebhook", "url=https://bot.example/SECRET", kForm).body,
            R"({"ok":true,"result":true})");
  EXPECT_THAT(log_.text(), HasSubstr("warning bot 12: setWebhook: "));
  EXPECT_THAT(log_.text(), HasSubstr("userprofile-adapter webhook"));
}

class BlockedTest : public BotApiProxyTest {
 protected:
  // The users whom the service was told of while this was sent, by "id active".
  std::vector<std::string> LearntFrom(const std::string& query,
                                      const std::string& body,
                                      const std::string& type) {
    std::vector<std::string> learnt;
    EXPECT_CALL(service_, GetProfile(_)).WillRepeatedly([&](const auto&) {
      return known_;
    });
    EXPECT_CALL(service_, UpsertUser(_))
        .WillRepeatedly([&](const v1::UpsertUserRequest& request) {
          EXPECT_TRUE(request.has_is_active());
          EXPECT_FALSE(request.has_identity());
          learnt.push_back(absl::StrCat(request.user_id(), " ",
                                        request.is_active() ? "on" : "off"));
          return v1::UpsertUserResponse();
        });
    const HttpAnswer answer = Post("sendMessage" + query, body, type);
    // What is learnt is so before the handler returns, and the connection
    // serves another.
    EXPECT_EQ(answer.status, requests().empty() ? 0 : status_);
    server_ = nullptr;
    Start();
    ::testing::Mock::VerifyAndClearExpectations(&service_);
    return learnt;
  }

  void AnswerBlocked(int status = 403, const std::string& body = kBlocked) {
    status_ = status;
    AnswerWith({status, body, "application/json"});
  }

  static std::string Multipart(const std::string& chat,
                               std::size_t photo_size) {
    return absl::StrCat(
        "--b\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n", chat,
        "\r\n--b\r\nContent-Disposition: form-data; name=\"photo\"; "
        "filename=\"chat_id\"\r\nContent-Type: image/png\r\n\r\n",
        std::string(photo_size, '\0'), "\r\n--b--\r\n");
  }

  static v1::GetProfileResponse Known(bool is_active) {
    v1::GetProfileResponse known;
    known.mutable_profile()->set_is_active(is_active);
    return known;
  }

  int status_ = 403;
  absl::StatusOr<v1::GetProfileResponse> known_ = Known(/*is_active=*/true);
};

TEST_F(BlockedTest, WhoBlockedTheBotIsNotActive) {
  AnswerBlocked();
  EXPECT_THAT(LearntFrom("", R"({"chat_id":7,"text":"x"})", "application/json"),
              ElementsAre("7 off"));
  EXPECT_THAT(LearntFrom("", "text=x&chat_id=7", kForm), ElementsAre("7 off"));
  EXPECT_THAT(LearntFrom("?chat_id=7", "", kForm), ElementsAre("7 off"));
  const std::string multipart = "multipart/form-data; boundary=b";
  EXPECT_THAT(LearntFrom("", Multipart("7", 10), multipart),
              ElementsAre("7 off"));
  EXPECT_THAT(LearntFrom("", Multipart("7", 1 << 20), multipart),
              ElementsAre("7 off"));
  AnswerBlocked(403, R"({"ok":false,"error_code":403,"description":)"
                     R"("Forbidden: user is deactivated"})");
  EXPECT_THAT(LearntFrom("?chat_id=8", "", kForm), ElementsAre("8 off"));
}

TEST_F(BlockedTest, NothingElseSaysSo) {
  AnswerBlocked();
  EXPECT_THAT(LearntFrom("?chat_id=-100123", "", kForm), IsEmpty());
  EXPECT_THAT(LearntFrom("?chat_id=@channel", "", kForm), IsEmpty());
  EXPECT_THAT(
      LearntFrom("", "{\"chat_id\":7,\"text\":\"\0", "application/json"),
      IsEmpty());
  EXPECT_THAT(LearntFrom("", "", kForm), IsEmpty());
  AnswerBlocked(400);
  EXPECT_THAT(LearntFrom("?chat_id=7", "", kForm), IsEmpty());
  AnswerBlocked(200);
  EXPECT_THAT(LearntFrom("?chat_id=7", "", kForm), IsEmpty());
  AnswerBlocked(403, "Forbidden: bot was kicked from the group chat");
  EXPECT_THAT(LearntFrom("?chat_id=7", "", kForm), IsEmpty());
}

// A bot that writes to all whom it ever saw makes no users of them.
TEST_F(BlockedTest, WhoIsNoUserOrKnownToBeAwayIsLeftAlone) {
  AnswerBlocked();
  known_ = absl::NotFoundError("no such user");
  EXPECT_THAT(LearntFrom("?chat_id=7", "", kForm), IsEmpty());
  known_ = Known(/*is_active=*/false);
  EXPECT_THAT(LearntFrom("?chat_id=7", "", kForm), IsEmpty());
}

TEST_F(BlockedTest, AServiceThatIsAwayKeepsNoAnswerBack) {
  AnswerBlocked();
  EXPECT_CALL(service_, GetProfile(_))
      .WillOnce(Return(absl::UnavailableError("away")));
  EXPECT_EQ(Get("sendMessage?chat_id=7").body, kBlocked);
  server_ = nullptr;
  EXPECT_THAT(log_.text(), HasSubstr("bot 12: that a user blocked it could "
                                     "not be stored: away"));
}

}  // namespace
}  // namespace userprofile::adapter
