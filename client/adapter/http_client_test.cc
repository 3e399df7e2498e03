#include "client/adapter/http_client.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "client/adapter/stop_event.h"
#include "tests/support/http_server.h"

namespace userprofile::adapter {
namespace {

using base::SteadyTime;
using ::testing::HasSubstr;
using ::testing::Not;
using ::userprofile::testing::HttpRequest;
using ::userprofile::testing::HttpResponse;
using ::userprofile::testing::HttpServer;

TEST(HttpUrlTest, IsAnOriginAndAPath) {
  for (const auto& [url, origin, path] :
       {std::tuple{"http://127.0.0.1:8090/update?x=1", "http://127.0.0.1:8090",
                   "/update?x=1"},
        std::tuple{"https://api.telegram.org", "https://api.telegram.org", "/"},
        std::tuple{"http://[::1]:80/", "http://[::1]:80", "/"}}) {
    const auto parsed = ParseHttpUrl(url);
    ASSERT_TRUE(parsed.ok()) << url;
    EXPECT_EQ(parsed->origin, origin);
    EXPECT_EQ(parsed->path, path);
  }
}

TEST(HttpUrlTest, RefusesWhatIsNone) {
  for (const char* url :
       {"", "bot:8090", "ftp://bot/", "http://", "http://user:word@bot/",
        "http://bot:99999/", "http://bot:x/", "http://bot/a b",
        "http://bot/\r\nX: y", "HTTP://bot/"}) {
    EXPECT_FALSE(ParseHttpUrl(url).ok()) << url;
  }
}

class HttpClientTest : public ::testing::Test {
 protected:
  ~HttpClientTest() override {
    for (const char* name : {"http_proxy", "no_proxy"}) ::unsetenv(name);
  }

  static HttpClient ClientOf(const std::string& host_and_port) {
    return HttpClient("http://" + host_and_port, "the bot", 1000,
                      absl::Seconds(5));
  }

  HttpResponse response_;
  std::atomic<int> requests_ = 0;
  HttpRequest request_;  // the last one
  // What a client that waits for the server waits for.
  StopEvent hold_;
  HttpServer server_{[this](const HttpRequest& request) {
    ++requests_;
    request_ = request;
    if (request.path == "/hold") hold_.WaitFor(absl::Seconds(20));
    return response_;
  }};
  HttpClient client_ = ClientOf(server_.address());
};

TEST_F(HttpClientTest, PostsWhatItIsGivenAsItIs) {
  const auto answer = client_.Post("/a/../b%2f?c=d", "{}", absl::Seconds(5),
                                   {{"X-Name", "value"}});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(request_.method, "POST");
  EXPECT_EQ(request_.path, "/a/../b%2f");
  EXPECT_EQ(request_.arguments["c"], "d");
  EXPECT_EQ(request_.body, "{}");
  EXPECT_EQ(request_.Header("X-Name"), "value");
  EXPECT_EQ(request_.Header("Content-Type"), "application/json");
  EXPECT_EQ(request_.Header("Accept-Encoding"), "");
}

TEST_F(HttpClientTest, FollowsNoRedirect) {
  response_.status = 307;
  response_.more_headers = "Location: /elsewhere\r\n";
  EXPECT_EQ(client_.Post("/", "{}", absl::Seconds(5))->status, 307);
  EXPECT_EQ(requests_, 1);
}

TEST_F(HttpClientTest, TakesNoAnswerThatIsTooLong) {
  response_.body = std::string(1000, 'x');
  EXPECT_EQ(client_.Post("/", "{}", absl::Seconds(5))->body, response_.body);
  response_.body += 'x';
  EXPECT_TRUE(
      absl::IsOutOfRange(client_.Post("/", "{}", absl::Seconds(5)).status()));
  response_ = {};
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&response_.more_headers, "X: ", std::string(2000, 'x'),
                    "\r\n");
  }
  EXPECT_FALSE(client_.Post("/", "{}", absl::Seconds(5)).ok());
}

TEST_F(HttpClientTest, AnAnswerInDripsIsInTimeAsAWholeOrNotAtAll) {
  response_.body = std::string(100, 'x');
  response_.drip = absl::Milliseconds(50);
  const SteadyTime begin = SteadyTime::Now();
  const auto answer = client_.Post("/", "{}", absl::Milliseconds(300));
  EXPECT_TRUE(absl::IsDeadlineExceeded(answer.status())) << answer.status();
  EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(3));
}

TEST_F(HttpClientTest, TellsHowItFailed) {
  response_.body = "xxx";
  response_.breaks_off = true;
  absl::Status status =
      client_.Post("/SECRET", "{}", absl::Seconds(5)).status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_EQ(status.message(), "the bot broke off");
  status = client_.Post("/hold", "{}", absl::Milliseconds(100)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  hold_.Set();
  for (const char* nobody : {"127.0.0.1:1", "no-such-host.invalid:80"}) {
    status = ClientOf(nobody).Post("/SECRET", "{}", absl::Seconds(20)).status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("SECRET")));
  }
}

TEST_F(HttpClientTest, StopsWaitingAtOnce) {
  StopEvent stop;
  std::thread stopper([&] {
    while (requests_ == 0) absl::SleepFor(absl::Milliseconds(1));
    stop.Set();
  });
  const SteadyTime begin = SteadyTime::Now();
  const auto answer = client_.Post("/hold", "{}", absl::Seconds(20), {}, &stop);
  EXPECT_TRUE(absl::IsCancelled(answer.status())) << answer.status();
  EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(5));
  stopper.join();
  hold_.Set();
  EXPECT_TRUE(client_.Post("/", "{}", absl::Seconds(5)).ok());
}

TEST_F(HttpClientTest, KeepsItsConnection) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(client_.Post("/", "{}", absl::Seconds(5)).ok());
  }
  EXPECT_EQ(server_.connections(), 1);
}

TEST_F(HttpClientTest,
       GoesThroughTheProxyOfTheEnvironmentButNotWithinAMachine) {
  ::setenv("http_proxy", absl::StrCat("http://", server_.address()).c_str(), 1);
  ASSERT_TRUE(
      ClientOf("bot.invalid:81").Post("/x", "{}", absl::Seconds(5)).ok());
  EXPECT_EQ(request_.path, "http://bot.invalid:81/x");
  ASSERT_TRUE(
      ClientOf(server_.address()).Post("/x", "{}", absl::Seconds(5)).ok());
  EXPECT_EQ(request_.path, "/x");
  ::setenv("no_proxy", "bot.invalid", 1);
  EXPECT_FALSE(
      ClientOf("bot.invalid:81").Post("/x", "{}", absl::Seconds(20)).ok());
}

}  // namespace
}  // namespace userprofile::adapter
