#include "client/adapter/http_client.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
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
#include "tests/support/certificate.h"
#include "tests/support/http_server.h"
#include "tests/support/temp_dir.h"

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

// A call whose answer is kept.
struct KeptCall : HttpCall {
  KeptCall() {
    begin = [this](int received, const ops::HttpHeaders& its_headers) {
      status = received;
      received_headers = its_headers;
      return true;
    };
    write = [this](absl::string_view part) {
      absl::StrAppend(&answer, part);
      return true;
    };
  }
  KeptCall(const KeptCall&) = delete;
  KeptCall& operator=(const KeptCall&) = delete;

  int status = 0;
  ops::HttpHeaders received_headers;
  std::string answer;
};

TEST_F(HttpClientTest, SendsARequestAsItIs) {
  response_.status = 418;
  response_.body = "tea";
  response_.more_headers = "X-Empty:\r\nX-Two: 1\r\nX-Two: 2\r\n";
  KeptCall call;
  call.method = "GET";
  call.path = "/a/../b%2f?c=d";
  call.headers = {{"X-Name", "value"}, {"X-Empty", ""}};
  const absl::Status status = client_.Send(call);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(call.status, 418);
  EXPECT_EQ(call.answer, "tea");
  EXPECT_THAT(call.received_headers, ::testing::IsSupersetOf(ops::HttpHeaders{
                                         {"Content-Type", "text/plain"},
                                         {"X-Empty", ""},
                                         {"X-Two", "1"},
                                         {"X-Two", "2"}}));
  EXPECT_EQ(request_.method, "GET");
  EXPECT_EQ(request_.path, "/a/../b%2f");
  EXPECT_EQ(request_.body, "");
  EXPECT_EQ(request_.Header("X-Name"), "value");
  EXPECT_EQ(request_.headers.count("x-empty"), 1u);
  for (const char* own : {"accept", "content-type", "content-length", "expect",
                          "transfer-encoding"}) {
    EXPECT_EQ(request_.headers.count(own), 0u) << own;
  }
  KeptCall form;
  form.headers = {{"Content-Type", "x/y"}};
  form.body = std::string("\0a", 2);
  ASSERT_TRUE(client_.Send(form).ok());
  EXPECT_EQ(request_.method, "POST");
  EXPECT_EQ(request_.Header("Content-Type"), "x/y");
  EXPECT_EQ(request_.Header("Content-Length"), "2");
  EXPECT_EQ(request_.body, form.body);
}

TEST_F(HttpClientTest, SendsABodyInPartsOfKnownAndUnknownSize) {
  std::string body = std::string("\0\r\n", 3);
  while (body.size() < (4u << 20)) body += body;
  for (const bool is_known : {true, false}) {
    KeptCall call;
    call.body = body.substr(0, 100'000);
    std::size_t at = call.body.size();
    call.more = [&]() -> absl::StatusOr<std::string> {
      const std::string part = body.substr(at, 50'000);
      at += part.size();
      return part;
    };
    if (is_known) call.size = static_cast<std::int64_t>(body.size());
    const absl::Status status = client_.Send(call);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_TRUE(request_.body == body) << request_.body.size();
    EXPECT_EQ(request_.Header("Content-Length") != "", is_known);
  }
}

TEST_F(HttpClientTest, ASendEndsWhereNobodyWantsOn) {
  response_.body = std::string(1000, 'x');
  KeptCall unwanted;
  unwanted.write = [](absl::string_view) { return false; };
  EXPECT_TRUE(absl::IsOutOfRange(client_.Send(unwanted)));
  unwanted.begin = [](int, const ops::HttpHeaders&) { return false; };
  EXPECT_TRUE(absl::IsOutOfRange(client_.Send(unwanted)));

  KeptCall failing;
  failing.body = "x";
  failing.more = [] { return absl::AbortedError("the client is gone"); };
  EXPECT_TRUE(absl::IsCancelled(client_.Send(failing)));

  // Whom it is for is gone.
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  KeptCall left;
  left.path = "/hold";
  left.caller = ends[0];
  const int before = requests_;
  std::thread leaver([&] {
    while (requests_ == before) absl::SleepFor(absl::Milliseconds(1));
    ::close(ends[1]);
  });
  EXPECT_TRUE(absl::IsCancelled(client_.Send(left)));
  leaver.join();
  ::close(ends[0]);
  hold_.Set();
}

TEST_F(HttpClientTest, ACallerThatSaysMoreHasNotLeft) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  KeptCall call;
  call.path = "/hold";
  call.caller = ends[0];
  std::thread other([&] {
    while (requests_ == 0) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_EQ(::write(ends[1], "GET", 3), 3);
    hold_.Set();
  });
  EXPECT_TRUE(client_.Send(call).ok());
  other.join();
  for (const int end : ends) ::close(end);
}

TEST_F(HttpClientTest, AStopLeavesASendItsGrace) {
  response_.body = std::string(20, 'x');
  response_.drip = absl::Milliseconds(20);
  StopEvent stop;
  stop.Set();
  KeptCall call;
  call.stop = &stop;
  EXPECT_TRUE(absl::IsCancelled(client_.Send(call)));
  call.grace = absl::Seconds(20);
  call.answer.clear();
  EXPECT_TRUE(client_.Send(call).ok());
  EXPECT_EQ(call.answer, response_.body);
}

// The name under which OpenSSL looks for an authority in a folder.
std::string HashedName(const std::string& certificate_file) {
  std::FILE* const file = std::fopen(certificate_file.c_str(), "r");
  X509* const certificate = ::PEM_read_X509(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  const std::string name = absl::StrCat(
      absl::Hex(::X509_subject_name_hash(certificate), absl::kZeroPad8), ".0");
  ::X509_free(certificate);
  return name;
}

TEST(HttpsClientTest, BelievesTheAuthoritiesOfAFileOrAFolderAndNobodyElse) {
  const userprofile::testing::Certificate authority{
      {.subject_alternative_names = "", .authority = true}};
  const userprofile::testing::Certificate certificate{{.issuer = &authority}};
  const userprofile::testing::Certificate stranger{{.authority = true}};
  std::atomic<int> requests = 0;
  HttpServer server(
      [&requests](const HttpRequest&) {
        ++requests;
        return HttpResponse{};
      },
      &certificate);
  const auto post = [&] {
    // Another client each time: what is believed is asked once.
    HttpClient client(absl::StrCat("https://localhost:", server.port()),
                      "the Bot API", 1000, absl::Seconds(5));
    return client.Post("/SECRET", "{}", absl::Seconds(10)).status();
  };
  const auto expect_refused = [&] {
    const int before = requests;
    const absl::Status status = post();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("SECRET")));
    EXPECT_EQ(requests, before);
  };
  expect_refused();

  const userprofile::testing::TempDir folder;
  ::setenv("SSL_CERT_DIR", (folder / "").c_str(), 1);
  expect_refused();
  ASSERT_EQ(
      ::symlink(stranger.certificate_file().c_str(),
                (folder / HashedName(stranger.certificate_file())).c_str()),
      0);
  expect_refused();
  ASSERT_EQ(
      ::symlink(authority.certificate_file().c_str(),
                (folder / HashedName(authority.certificate_file())).c_str()),
      0);
  EXPECT_TRUE(post().ok()) << post();
  ::unsetenv("SSL_CERT_DIR");

  ::setenv("SSL_CERT_FILE", stranger.certificate_file().c_str(), 1);
  expect_refused();
  ::setenv("SSL_CERT_FILE", authority.certificate_file().c_str(), 1);
  EXPECT_TRUE(post().ok()) << post();
  ::unsetenv("SSL_CERT_FILE");
}

}  // namespace
}  // namespace userprofile::adapter
