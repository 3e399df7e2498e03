// Requests and answers that pass in parts, over real sockets.

#include "ops/http_stream.h"

#include <poll.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/steady_time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/http_server.h"
#include "tests/support/http_client.h"

namespace userprofile::ops {
namespace {

using base::SteadyTime;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using ::userprofile::testing::Connection;
using ::userprofile::testing::HttpAnswer;
using ::userprofile::testing::HttpClient;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr std::size_t kBuffer = 64 * 1024;

bool Eventually(const std::function<bool()>& condition) {
  const SteadyTime end = SteadyTime::Now() + kPatience;
  while (!condition()) {
    if (SteadyTime::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

// The whole body, of which no part may be longer than what is held.
absl::StatusOr<std::string> ReadAll(HttpStream& stream) {
  std::string body;
  while (true) {
    auto part = stream.Read();
    if (!part.ok()) return part;
    EXPECT_LE(part->size(), kBuffer);
    if (part->empty()) return body;
    body += *part;
  }
}

void Echo(HttpStream& stream) {
  const auto body = ReadAll(stream);
  if (!body.ok()) return;
  const std::string answer = absl::StrCat(stream.request().method, " ",
                                          stream.request().target, " ", *body);
  stream.Begin({.status = 200}, answer.size());
  stream.Write(answer);
}

class HttpStreamTest : public ::testing::Test {
 protected:
  void Start(std::function<void(HttpStream&)> answer) {
    HttpHandler handler;
    handler.refuse =
        [](const HttpRequest& request) -> absl::optional<HttpResponse> {
      if (request.path == "/no") return HttpResponse{.status = 401};
      return absl::nullopt;
    };
    handler.stream = std::move(answer);
    server_ = nullptr;
    auto started =
        HttpServer::Start("127.0.0.1:0", options_, std::move(handler));
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = *std::move(started);
  }

  HttpServerOptions options_{.threads = 8,
                             .requests_per_connection = 100,
                             .silence = absl::Seconds(10),
                             .transfer = absl::Seconds(10),
                             .max_body = 10};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpStreamTest, AnswersOneAfterTheOtherOnAConnection) {
  Start(Echo);
  Connection connection(server_->address());
  ASSERT_TRUE(connection.Send(
      "POST /a%2f?b=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
      "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\n23\r\n1;x=y\r\n4\r\n0\r\nX-Last: y\r\n\r\n"
      "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string answers = connection.ReadAll(kPatience);
  EXPECT_TRUE(connection.over());
  EXPECT_THAT(answers, HasSubstr("\r\n\r\nPOST /a%2f?b=%20 1HTTP/1.1 200 "));
  EXPECT_THAT(answers, HasSubstr("\r\n\r\nPOST /b 234HTTP/1.1 200 "));
  EXPECT_THAT(answers, EndsWith("\r\n\r\nGET /c "));
}

TEST_F(HttpStreamTest, BodiesAreOfAnyLengthEncodingAndContent) {
  Start(Echo);
  std::string body = std::string("\0\r\n\xff", 4);
  while (body.size() < (8u << 20)) body += body;
  HttpClient client(server_->address());
  const HttpAnswer answer =
      client.Post("/", body, {{"Content-Encoding", "gzip"}});
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body == "POST / " + body);
}

TEST_F(HttpStreamTest, APartComesBeforeTheNextOneIsSent) {
  std::atomic<int> parts = 0;
  Start([&](HttpStream& stream) {
    for (auto part = stream.Read(); part.ok() && !part->empty();
         part = stream.Read()) {
      EXPECT_EQ(*part, "x");
      ++parts;
    }
    stream.Begin({}, absl::nullopt);
    stream.Write("first");
    while (parts < 4) absl::SleepFor(absl::Milliseconds(1));
    stream.Write("last");
  });
  Connection connection(server_->address());
  ASSERT_TRUE(connection.Send(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"));
  for (int sent = 1; sent <= 3; ++sent) {
    ASSERT_TRUE(connection.Send("x"));
    EXPECT_TRUE(Eventually([&] { return parts == sent; })) << sent;
  }
  std::string answer;
  ASSERT_TRUE(Eventually([&] {
    answer += connection.Read(absl::Milliseconds(10));
    return ::testing::Matches(HasSubstr("first"))(answer);
  }));
  EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("last")));
  parts = 4;
  ASSERT_TRUE(Eventually([&] {
    answer += connection.Read(absl::Milliseconds(10));
    return ::testing::Matches(EndsWith("0\r\n\r\n"))(answer);
  })) << answer;
  EXPECT_THAT(answer, HasSubstr("last"));
}

TEST_F(HttpStreamTest, AClientThatAsksFirstIsToldToGoOn) {
  Start(Echo);
  Connection connection(server_->address());
  ASSERT_TRUE(
      connection.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                      "Expect: 100-continue\r\nConnection: close\r\n\r\n"));
  EXPECT_THAT(connection.Read(kPatience), StartsWith("HTTP/1.1 100 "));
  ASSERT_TRUE(connection.Send("abc"));
  EXPECT_THAT(connection.ReadAll(kPatience), EndsWith("\r\n\r\nPOST / abc"));
}

TEST_F(HttpStreamTest, AWriterWaitsForWhoReads) {
  constexpr std::size_t kSize = 64 << 20;
  std::atomic<std::size_t> written = 0;
  Start([&](HttpStream& stream) {
    const std::string part(32 * 1024, 'x');
    stream.Begin({}, kSize);
    while (written < kSize && stream.Write(part)) written += part.size();
  });
  Connection connection(server_->address());
  ASSERT_TRUE(connection.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  // It goes no further than what the kernel keeps for both.
  std::size_t before = 0;
  SteadyTime since = SteadyTime::Now();
  ASSERT_TRUE(Eventually([&] {
    if (written != before) {
      before = written;
      since = SteadyTime::Now();
    }
    return before > 0 && SteadyTime::Now() - since > absl::Milliseconds(300);
  }));
  EXPECT_LT(written, 24u << 20);
  std::size_t read = 0;
  while (read <= kSize) {
    const std::string more = connection.Read(kPatience);
    ASSERT_NE(more, "") << read;
    read += more.size();
  }
  EXPECT_EQ(written, kSize);
}

TEST_F(HttpStreamTest, AnAnswerThatIsNotWholeEndsTheConnection) {
  for (const bool is_announced : {false, true}) {
    Start([&](HttpStream& stream) {
      stream.Begin({}, is_announced ? absl::make_optional(std::uint64_t{10})
                                    : absl::nullopt);
      stream.Write("half");
      if (!is_announced) stream.BreakOff();
    });
    Connection connection(server_->address());
    ASSERT_TRUE(connection.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    const std::string answer = connection.ReadAll(kPatience);
    EXPECT_TRUE(connection.over());
    EXPECT_THAT(answer, HasSubstr("half"));
    EXPECT_THAT(answer, Not(EndsWith("0\r\n\r\n")));
  }
}

TEST_F(HttpStreamTest, AHandlerThatSaysNothingAnswers500) {
  Start([](HttpStream&) {});
  HttpClient client(server_->address());
  const HttpAnswer answer = client.Get("/");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.Header("Content-Length"), "0");
  EXPECT_EQ(client.Post("/", std::string(1 << 20, 'x')).status, 500);
}

TEST_F(HttpStreamTest, WhatIsLeftOfABodyIsReadPast) {
  Start([](HttpStream& stream) {
    if (stream.request().method == "POST") {
      stream.Begin({.status = 413}, 0);
    } else {
      Echo(stream);
    }
  });
  const std::string body(4 << 20, 'x');
  Connection connection(server_->address());
  ASSERT_TRUE(connection.Send(absl::StrCat(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ", body.size(), "\r\n\r\n",
      body, "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")));
  const std::string answers = connection.ReadAll(kPatience);
  EXPECT_THAT(answers, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answers, EndsWith("\r\n\r\nGET /next "));
}

TEST_F(HttpStreamTest, AHeadHasNoBodyAndHoldsUpNobody) {
  std::atomic<bool> returned = false;
  Start([&](HttpStream& stream) {
    stream.Begin({}, 100 << 20);
    const std::string part(1 << 20, 'x');
    while (stream.Write(part)) continue;
    returned = true;
  });
  HttpClient client(server_->address());
  const HttpAnswer answer = client.Send("HEAD", "/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.Header("Content-Length"), absl::StrCat(100 << 20));
  EXPECT_EQ(answer.body, "");
  EXPECT_TRUE(Eventually([&] { return returned.load(); }));
}

TEST_F(HttpStreamTest, AHandlerLearnsThatItsClientLeft) {
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  std::atomic<int> begun = 0;
  std::atomic<int> left = 0;
  Start([&](HttpStream& stream) {
    ++begun;
    const std::string how(stream.request().Header("X-How"));
    if (how == "in its body") {
      absl::StatusOr<std::string> part;
      do {
        part = stream.Read();
      } while (part.ok() && !part->empty());
      EXPECT_TRUE(absl::IsAborted(part.status())) << part.status();
    } else if (how == "before the answer") {
      EXPECT_TRUE(ReadAll(stream).ok());
      pollfd client = {stream.client(), POLLIN, 0};
      EXPECT_EQ(::poll(&client, 1, 20'000), 1);
    } else {
      EXPECT_TRUE(ReadAll(stream).ok());
      stream.Begin({}, absl::nullopt);
      const std::string part(1 << 20, 'x');
      while (stream.Write(part)) continue;
    }
    ++left;
  });
  int clients = 0;
  for (const char* how :
       {"in its body", "before the answer", "within the answer"}) {
    {
      Connection leaving(server_->address());
      ASSERT_TRUE(leaving.Send(
          absl::StrCat(post, "X-How: ", how, "\r\nContent-Length: 2\r\n\r\n1",
                       how == std::string("in its body") ? "" : "2")));
      ++clients;
      EXPECT_TRUE(Eventually([&] { return begun == clients; })) << how;
    }
    EXPECT_TRUE(Eventually([&] { return left == clients; })) << how;
  }
}

TEST_F(HttpStreamTest, AClientThatFallsSilentIsGone) {
  options_.silence = absl::Seconds(1);
  std::atomic<bool> gone = false;
  Start([&](HttpStream& stream) {
    EXPECT_TRUE(absl::IsAborted(ReadAll(stream).status()));
    gone = true;
  });
  Connection silent(server_->address());
  ASSERT_TRUE(
      silent.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"));
  EXPECT_TRUE(Eventually([&] { return gone.load(); }));
}

TEST_F(HttpStreamTest, AStreamMayLastAsLongAsItGoesOn) {
  options_.transfer = absl::Milliseconds(300);
  Start([](HttpStream& stream) {
    stream.Begin({}, absl::nullopt);
    const SteadyTime end = SteadyTime::Now() + absl::Seconds(1);
    while (SteadyTime::Now() < end && stream.Write("x")) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    stream.Write("end");
  });
  Connection connection(server_->address());
  ASSERT_TRUE(connection.Send(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  EXPECT_THAT(connection.ReadAll(kPatience), EndsWith("end\r\n0\r\n\r\n"));
}

TEST_F(HttpStreamTest, HeadersAreReadInOneWayOnly) {
  Start(Echo);
  for (const auto& [headers, status] :
       {std::pair{"Content-Length: 3\r\nTransfer-Encoding: chunked", 400},
        {"Content-Length: 3\r\nContent-Length: 4", 400},
        {"Content-Length: 99999999999999999999", 413},
        {"Transfer-Encoding: gzip, chunked", 501}}) {
    Connection connection(server_->address());
    ASSERT_TRUE(connection.Send(absl::StrCat("POST / HTTP/1.1\r\nHost: x\r\n",
                                             headers, "\r\n\r\n0\r\n\r\n")));
    EXPECT_THAT(connection.ReadAll(kPatience),
                StartsWith(absl::StrCat("HTTP/1.1 ", status, " ")))
        << headers;
  }
  EXPECT_EQ(HttpClient(server_->address()).Get("/no").status, 401);
}

TEST_F(HttpStreamTest, AStopGivesStreamsSomeSeconds) {
  std::atomic<int> begun = 0;
  Start([&](HttpStream& stream) {
    ++begun;
    if (stream.request().method == "GET") {
      stream.Begin({}, absl::nullopt);
      const std::string part(1 << 20, 'x');
      while (stream.Write(part)) continue;
    } else {
      (void)ReadAll(stream);
    }
  });
  // One does not read what it is told, the other does not end its body.
  Connection deaf(server_->address());
  ASSERT_TRUE(deaf.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  Connection mute(server_->address());
  ASSERT_TRUE(
      mute.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"));
  ASSERT_TRUE(Eventually([&] { return begun == 2; }));
  const SteadyTime begin = SteadyTime::Now();
  server_ = nullptr;
  EXPECT_LT(SteadyTime::Now() - begin, absl::Seconds(9));
}

}  // namespace
}  // namespace userprofile::ops
