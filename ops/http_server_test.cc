// What strangers may send, over real sockets.

#include "ops/http_server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/http_client.h"

namespace userprofile::ops {
namespace {

using base::SteadyTime;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::userprofile::testing::Connection;
using ::userprofile::testing::HttpAnswer;
using ::userprofile::testing::HttpClient;

constexpr absl::Duration kPatience = absl::Seconds(10);

int CountOf(const std::string& text, const std::string& word) {
  return static_cast<int>(
             std::vector<std::string>(absl::StrSplit(text, word)).size()) -
         1;
}

// Takes POSTs to any path but /no, and answers "METHOD PATH BODY".
class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }
  void TearDown() override { hold_ = false; }

  void Start() {
    HttpHandler handler;
    handler.refuse =
        [this](const HttpRequest& request) -> absl::optional<HttpResponse> {
      ++begun_;
      if (request.path == "/no") return HttpResponse{.status = 401};
      return absl::nullopt;
    };
    handler.answer = [this](const HttpRequest& request) {
      ++answered_;
      if (request.path == "/hold") {
        while (hold_) absl::SleepFor(absl::Milliseconds(1));
      }
      HttpResponse response{
          status_,
          absl::StrCat(request.method, " ", request.path, " ", request.body)};
      if (request.path == "/long") response.body.append(64 << 20, 'x');
      return response;
    };
    handler.on_refused = [this](int status) {
      const std::lock_guard<std::mutex> lock(mutex_);
      refused_.push_back(status);
    };
    server_ = nullptr;
    auto started =
        HttpServer::Start("127.0.0.1:0", options_, std::move(handler));
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }

  static absl::StatusOr<std::unique_ptr<HttpServer>> StartOn(
      const std::string& address) {
    return HttpServer::Start(
        address, {},
        {[](const HttpRequest&) { return HttpResponse{.status = 404}; },
         [](const HttpRequest&) { return HttpResponse(); }});
  }

  // All that is answered to these bytes, which the server ends.
  std::string Say(const std::string& bytes) {
    Connection connection(server_->address());
    (void)connection.Send(bytes);
    std::string answer = connection.ReadAll(kPatience);
    EXPECT_TRUE(connection.over()) << answer;
    return answer;
  }

  // How long it takes until the server has ended the connection, on which the
  // client says this byte all the time.
  absl::Duration TimeTillItEnds(Connection& connection, const char* byte) {
    const SteadyTime begin = SteadyTime::Now();
    while (!connection.over() && SteadyTime::Now() - begin < kPatience) {
      connection.Send(byte);
      (void)connection.Read(absl::Milliseconds(20));
    }
    return SteadyTime::Now() - begin;
  }

  std::vector<int> refused() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return refused_;
  }

  HttpServerOptions options_{.threads = 2,
                             .requests_per_connection = 100,
                             .silence = absl::Seconds(1),
                             .transfer = absl::Milliseconds(1500),
                             .max_body = 100};
  std::atomic<int> begun_ = 0;
  std::atomic<int> answered_ = 0;
  std::atomic<bool> hold_ = true;
  std::atomic<int> status_ = 200;
  std::mutex mutex_;
  std::vector<int> refused_;  // protected by it
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersOneAfterTheOtherOnAConnection) {
  const std::string answers = Say(
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
      "POST /b?c=%20 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\n23\r\n1;x=y\r\n4\r\n0\r\nX-Last: y\r\n\r\n"
      "HEAD /d HTTP/1.1\r\nHost: x\r\n\r\n"
      "BREW /e%2f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(CountOf(answers, "HTTP/1.1 200 "), 4) << answers;
  EXPECT_THAT(answers, HasSubstr("\r\n\r\nPOST /a 1HTTP/1.1"));
  EXPECT_THAT(answers, HasSubstr("\r\n\r\nPOST /b 234HTTP/1.1"));
  EXPECT_THAT(answers, HasSubstr("Content-Length: 7\r\n"));
  EXPECT_THAT(answers, EndsWith("\r\n\r\nBREW /e/ ")) << "HEAD has no body";
  EXPECT_EQ(HttpClient(server_->address()).Get("/f").body, "GET /f ");
}

TEST_F(HttpServerTest, NothingOfARefusedRequestIsTakenForAnother) {
  const std::string hidden =
      "GET /hidden HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  for (const std::string method : {"POST", "PUT", "GET", "DELETE", "BREW"}) {
    for (const std::string& headers :
         {absl::StrCat("Content-Length: ", hidden.size(), "\r\n\r\n"),
          std::string("Transfer-Encoding: chunked\r\n\r\n"),
          // With a body that it does not know the end of.
          std::string("Transfer-Encoding: x, chunked\r\n\r\n"),
          std::string("Content-Length: 5\r\nContent-Length: 0\r\n\r\n")}) {
      const std::string answers = Say(absl::StrCat(
          method, " /no HTTP/1.1\r\nHost: x\r\n", headers, hidden, hidden));
      EXPECT_THAT(answers, StartsWith("HTTP/1.1 401 ")) << method << headers;
      EXPECT_THAT(answers, HasSubstr("Connection: close\r\n"));
      EXPECT_EQ(CountOf(answers, "HTTP/1.1"), 1) << answers;
    }
  }
  EXPECT_EQ(answered_, 0);
  EXPECT_EQ(refused().size(), 20u);
}

TEST_F(HttpServerTest, ARefusalWaitsForNoByteOfTheBody) {
  EXPECT_THAT(Say("POST /no HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"),
              StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(Say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n"
                  "Expect: 100-continue\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(refused(), ElementsAre(401, 413));
}

TEST_F(HttpServerTest, AClientThatSendsOnReadsWhyItIsRefused) {
  for (const auto& [path, status] : {std::pair{"/no", 401}, {"/", 413}}) {
    HttpClient client(server_->address());
    EXPECT_EQ(client.Post(path, std::string(4 << 20, 'x')).status, status);
  }
}

TEST_F(HttpServerTest, BodiesAreLimitedHoweverTheyCome) {
  const std::string full(100, 'x');
  HttpClient client(server_->address());
  EXPECT_EQ(client.Post("/", full).body, "POST / " + full);
  EXPECT_EQ(client.Post("/", full + "x").status, 413);
  const std::string chunked =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string chunk = "32\r\n" + full.substr(50) + "\r\n";
  EXPECT_THAT(Say(chunked + chunk + chunk + "0\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
  const std::string answers = Say(chunked + chunk + chunk + chunk +
                                  "0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 413 "));
  EXPECT_EQ(CountOf(answers, "HTTP/1.1"), 1) << answers;
  EXPECT_EQ(answered_, 2);
  EXPECT_THAT(refused(), ElementsAre(413, 413));
}

TEST_F(HttpServerTest, WhatCouldBeReadInTwoWaysIsRefused) {
  for (const auto& [headers, status] :
       {std::pair{"Content-Length: 3\r\nTransfer-Encoding: chunked", 400},
        {"Content-Length: 3\r\nContent-Length: 4", 400},
        {"Content-Length: 3, 3", 400},
        {"Content-Length: +3", 400},
        {"Content-Length: 99999999999999999999", 413},
        {"Transfer-Encoding: gzip, chunked", 501},
        {"Transfer-Encoding: identity", 501},
        {"Content-Encoding: gzip\r\nContent-Length: 3", 415}}) {
    EXPECT_THAT(Say(absl::StrCat("POST / HTTP/1.1\r\nHost: x\r\n", headers,
                                 "\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n")),
                StartsWith(absl::StrCat("HTTP/1.1 ", status, " ")))
        << headers;
  }
  EXPECT_EQ(answered_, 0);
}

TEST_F(HttpServerTest, WhatHasNoEndIsEndedByTheServer) {
  const std::string begin = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string chunked = begin + "Transfer-Encoding: chunked\r\n\r\n";
  const struct {
    const char* label;
    std::string begin;
    std::string more;
  } cases[] = {
      {"headers", begin, "X: " + std::string(1000, 'x') + "\r\n"},
      {"many short headers", begin, "X:\r\n"},
      {"a header", begin + "X: ", std::string(1000, 'x')},
      {"a path", "GET /", std::string(1000, 'x')},
      {"no HTTP", "", std::string(1000, '\0')},
      {"empty lines", "", "\r\n"},
      {"a chunk's extensions", chunked + "1;", std::string(1000, 'x')},
      {"trailers", chunked + "0\r\n", "X: " + std::string(1000, 'x') + "\r\n"},
      {"chunks", chunked, "1\r\nx\r\n"},
  };
  for (const auto& c : cases) {
    Connection connection(server_->address());
    (void)connection.Send(c.begin);
    std::size_t sent = 0;
    const SteadyTime end = SteadyTime::Now() + kPatience;
    std::string answer;
    while (!connection.over() && SteadyTime::Now() < end &&
           connection.Send(c.more)) {
      sent += c.more.size();
      answer += connection.Read(absl::ZeroDuration());
    }
    EXPECT_TRUE(connection.over()) << c.label;
    // With what the kernel keeps for both.
    EXPECT_LT(sent, 8u << 20) << c.label;
  }
  EXPECT_EQ(HttpClient(server_->address()).Get("/").status, 200);
}

TEST_F(HttpServerTest, TooManyHeadersAreAnswered) {
  EXPECT_THAT(Say("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(40000, 'x') +
                  "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, DripsAndSilenceEndAConnection) {
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  for (const std::string& begin :
       {std::string("G"), post + "X: ", post + "Content-Length: 100\r\n\r\n"}) {
    Connection dripping(server_->address());
    ASSERT_TRUE(dripping.Send(begin));
    EXPECT_LT(TimeTillItEnds(dripping, "x"), absl::Seconds(4)) << begin;
    Connection silent(server_->address());
    ASSERT_TRUE(silent.Send(begin));
    EXPECT_EQ(CountOf(silent.ReadAll(absl::Seconds(5)), "200"), 0);
    EXPECT_TRUE(silent.over()) << begin;
  }
  Connection mute(server_->address());
  (void)mute.ReadAll(absl::Seconds(5));
  EXPECT_TRUE(mute.over());
  EXPECT_EQ(answered_, 0);
}

TEST_F(HttpServerTest, AnAnswerThatIsReadInDripsEndsToo) {
  Connection connection(server_->address());
  ASSERT_TRUE(connection.Send("GET /long HTTP/1.1\r\nHost: x\r\n\r\n"));
  const SteadyTime begin = SteadyTime::Now();
  std::size_t read = 0;
  while (!connection.over() && SteadyTime::Now() - begin < kPatience) {
    // Fast enough never to be silent, too slow for all of it.
    read += connection.Read(absl::Milliseconds(100)).size();
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_TRUE(connection.over());
  EXPECT_LT(read, 64u << 20);
}

TEST_F(HttpServerTest, ConnectionsThatSayNothingKeepNoThread) {
  options_.threads = 1;
  Start();
  std::vector<std::unique_ptr<Connection>> slow;
  for (int i = 0; i < 100; ++i) {
    slow.push_back(std::make_unique<Connection>(server_->address()));
    EXPECT_TRUE(slow.back()->Send("GET / HTTP/1.1\r\n"));
  }
  EXPECT_EQ(HttpClient(server_->address()).Get("/").status, 200);
  EXPECT_FALSE(slow.back()->over());
}

TEST_F(HttpServerTest, AHandlerMayTakeLongerThanAClient) {
  std::thread release([this] {
    absl::SleepFor(options_.transfer + absl::Seconds(1));
    hold_ = false;
  });
  EXPECT_EQ(HttpClient(server_->address()).Get("/hold").status, 200);
  release.join();
}

TEST_F(HttpServerTest, AConnectionGetsSoManyAnswersForSoLong) {
  options_.requests_per_connection = 2;
  Start();
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(CountOf(Say(get + get + get), "HTTP/1.1 200"), 2);
  options_.requests_per_connection = 100;
  options_.lifetime = absl::ZeroDuration();
  Start();
  EXPECT_EQ(CountOf(Say(get + get), "HTTP/1.1 200"), 1);
}

TEST_F(HttpServerTest, ConnectionsAreLimitedInAllAndForAnAddress) {
  options_.silence = options_.transfer = absl::Seconds(30);
  options_.max_connections_per_address = 3;
  Start();
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  std::vector<std::unique_ptr<Connection>> held;
  const auto hold = [&] {
    held.push_back(std::make_unique<Connection>(server_->address()));
    (void)held.back()->Send(get);
    return held.back()->Read(absl::Milliseconds(300));
  };
  for (int i = 0; i < 3; ++i) EXPECT_THAT(hold(), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(hold(), "");
  EXPECT_TRUE(held.back()->over());

  options_.max_connections = 3;
  options_.max_connections_per_address = 0;
  Start();
  held.clear();
  for (int i = 0; i < 3; ++i) EXPECT_THAT(hold(), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(hold(), "");
  EXPECT_FALSE(held.back()->over()) << "it was to wait";
  held.erase(held.begin());
  EXPECT_THAT(held.back()->Read(kPatience), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, DescriptorsThatRunOutMakeNoPortDeafForLong) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {100, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  for (const bool with_another : {false, true}) {
    std::unique_ptr<Connection> another;
    if (with_another) {
      another = std::make_unique<Connection>(server_->address());
      ASSERT_TRUE(another->Send("G"));
    }
    std::vector<int> taken;
    for (int fd; (fd = ::dup(STDERR_FILENO)) >= 0;) taken.push_back(fd);
    ::close(taken.back());
    taken.pop_back();
    Connection client(server_->address());
    ASSERT_TRUE(client.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    EXPECT_EQ(client.Read(absl::Milliseconds(100)), "");
    for (const int fd : taken) ::close(fd);
    EXPECT_THAT(client.Read(kPatience), StartsWith("HTTP/1.1 200 "));
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(HttpServerTest, AStopWaitsForNoClient) {
  options_.silence = options_.transfer = absl::Seconds(30);
  Start();
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  std::vector<std::unique_ptr<Connection>> clients;
  for (const std::string& begin :
       {std::string(), std::string("G"), post,
        post + "Content-Length: 100\r\n\r\nx",
        // Which does not read its answer.
        std::string("GET /long HTTP/1.1\r\nHost: x\r\n\r\n")}) {
    clients.push_back(std::make_unique<Connection>(server_->address()));
    EXPECT_TRUE(clients.back()->Send(begin));
  }
  while (answered_ == 0) absl::SleepFor(absl::Milliseconds(1));
  std::atomic<bool> stopped = false;
  std::thread dripping([&] {
    while (!stopped) {
      for (int i = 1; i < 4; ++i) clients[i]->Send("x");
      absl::SleepFor(absl::Milliseconds(10));
    }
  });
  const SteadyTime begin = SteadyTime::Now();
  server_ = nullptr;
  EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(3));
  stopped = true;
  dripping.join();
}

TEST_F(HttpServerTest, AStopFinishesWhatIsBeingAnswered) {
  options_.threads = 1;
  Start();
  std::vector<std::unique_ptr<Connection>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<Connection>(server_->address()));
    EXPECT_TRUE(clients.back()->Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
  }
  while (begun_ < 3) absl::SleepFor(absl::Milliseconds(1));
  const std::string address = server_->address();
  std::thread release([&] {
    // Nobody new is let in.
    while (!Connection(address).over()) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    hold_ = false;
  });
  server_ = nullptr;
  release.join();
  for (const auto& client : clients) {
    EXPECT_THAT(client->ReadAll(kPatience), EndsWith("GET /hold "));
  }
}

TEST_F(HttpServerTest, WhatAHandlerSaysIsNeverTwoAnswers) {
  for (const int status : {0, 99, 101, 600, -1}) {
    status_ = status;
    EXPECT_EQ(HttpClient(server_->address()).Get("/").status, 500) << status;
  }
}

TEST_F(HttpServerTest, AClientThatLeavesIsForgotten) {
  for (int i = 0; i < 10; ++i) {
    Connection leaving(server_->address());
    EXPECT_TRUE(leaving.Send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
  }
  hold_ = false;
  EXPECT_EQ(HttpClient(server_->address()).Get("/").status, 200);
}

TEST_F(HttpServerTest, RefusesAnAddressInUse) {
  const auto second = StartOn(server_->address());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr(server_->address() + ": Address already in use"));
}

TEST_F(HttpServerTest, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "localhost", ":80", "localhost:",
                              "localhost:http", "localhost:65536", "::1:80"}) {
    const auto started = StartOn(address);
    EXPECT_EQ(started.status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

TEST_F(HttpServerTest, RefusesAHostThatIsNotItsOwn) {
  const auto started = StartOn("192.0.2.1:0");
  EXPECT_EQ(started.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(HttpServerTest, ListensOnIpv6) {
  const auto started = StartOn("[::1]:0");
  if (!started.ok()) GTEST_SKIP() << "no IPv6 here: " << started.status();
  EXPECT_TRUE(absl::StartsWith((*started)->address(), "[::1]:"));
}

}  // namespace
}  // namespace userprofile::ops
