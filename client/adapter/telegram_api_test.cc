#include "client/adapter/telegram_api.h"

#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/certificate.h"
#include "tests/support/http_server.h"

namespace userprofile::adapter {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kToken[] = "123:SECRET";

// A Bot API on https, with a certificate that the system does not know.
class TelegramApiTest : public ::testing::Test {
 protected:
  TelegramApiTest()
      : server_(
            [this](const userprofile::testing::HttpRequest& request) {
              const std::string methods = absl::StrCat("/bot", kToken, "/");
              if (!absl::StartsWith(request.path, methods)) {
                return userprofile::testing::HttpResponse{404};
              }
              method_ = request.path.substr(methods.size());
              arguments_ = request.body;
              return userprofile::testing::HttpResponse{
                  200, answer_, "application/json", more_headers_};
            },
            &certificate_),
        url_{absl::StrCat("https://localhost:", server_.port()), "/"} {}
  ~TelegramApiTest() override { ::unsetenv("SSL_CERT_FILE"); }

  void TrustTheCertificate() {
    ::setenv("SSL_CERT_FILE", certificate_.certificate_file().c_str(), 1);
  }

  absl::Status Poll() {
    return TelegramApi(url_, kToken)
        .GetUpdates(absl::nullopt, absl::ZeroDuration())
        .status();
  }

  userprofile::testing::Certificate certificate_;
  std::string method_;
  std::string arguments_;
  std::string answer_ = R"({"ok": true, "result": [{"update_id": 7}]})";
  std::string more_headers_;
  userprofile::testing::HttpServer server_;
  HttpUrl url_;
};

TEST_F(TelegramApiTest, IsCalledByTls) {
  TrustTheCertificate();
  TelegramApi api(url_, kToken);
  const auto updates = api.GetUpdates(5, absl::ZeroDuration());
  ASSERT_TRUE(updates.ok()) << updates.status();
  EXPECT_EQ(updates->at(0)["update_id"], 7);
  EXPECT_TRUE(api.Call({{"method", "sendMessage"}}).ok());
  EXPECT_EQ(method_, "sendMessage");
}

TEST_F(TelegramApiTest, NobodyElseIsTakenForIt) {
  const absl::Status status = Poll();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(method_, "") << "it was told the token";
}

TEST_F(TelegramApiTest, ErrorsSayWhatToDoAndNotTheToken) {
  TrustTheCertificate();
  const struct {
    const char* answer;
    absl::StatusCode code;
  } cases[] = {
      {R"({"ok": false, "error_code": 401})",
       absl::StatusCode::kUnauthenticated},
      {R"({"ok": false, "error_code": 404})",
       absl::StatusCode::kUnauthenticated},
      {R"({"ok": false, "error_code": 409})", absl::StatusCode::kAborted},
      {R"({"ok": false, "error_code": 400, "description": "private"})",
       absl::StatusCode::kInvalidArgument},
      {R"({"ok": false, "error_code": 500})", absl::StatusCode::kUnavailable},
      {R"({"ok": false, "error_code": "x"})", absl::StatusCode::kUnavailable},
      {R"({"ok": false})", absl::StatusCode::kUnavailable},
      {R"({"ok": true, "result": {}})", absl::StatusCode::kUnavailable},
      {"[]", absl::StatusCode::kUnavailable},
      {"<html>", absl::StatusCode::kUnavailable},
      {"", absl::StatusCode::kUnavailable},
  };
  for (const auto& c : cases) {
    answer_ = c.answer;
    const absl::Status status = Poll();
    EXPECT_EQ(status.code(), c.code) << c.answer;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("SECRET")));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("private")));
  }
}

TEST_F(TelegramApiTest, AnyTimeIsWaitedForAndNotPolledWithoutAPause) {
  TrustTheCertificate();
  TelegramApi api(url_, kToken);
  EXPECT_TRUE(api.GetUpdates(5, absl::Milliseconds(1)).ok());
  EXPECT_THAT(arguments_, HasSubstr(R"("timeout":1)"));
  EXPECT_TRUE(api.GetUpdates(5, absl::ZeroDuration()).ok());
  EXPECT_THAT(arguments_, HasSubstr(R"("timeout":0)"));
}

TEST_F(TelegramApiTest, ItsNameMustBeInTheCertificate) {
  TrustTheCertificate();
  url_.origin.replace(0, std::string("https://localhost").size(),
                      "https://127.0.0.1");
  const absl::Status status = Poll();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(method_, "") << "it was told the token";
}

TEST_F(TelegramApiTest, AMethodThatItDoesNotHaveIsNotTheTokensFault) {
  TrustTheCertificate();
  answer_ = R"({"ok": false, "error_code": 404})";
  const absl::Status status =
      TelegramApi(url_, kToken).Call({{"method", "sendMesage"}});
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

TEST_F(TelegramApiTest, SaysWhenToComeBack) {
  TrustTheCertificate();
  answer_ = R"({"ok": false, "error_code": 429,
                "parameters": {"retry_after": 7}})";
  EXPECT_EQ(RetryAfter(Poll()), absl::Seconds(7));
  answer_ = R"({"ok": false, "error_code": 429, "parameters": 7})";
  EXPECT_TRUE(absl::IsResourceExhausted(Poll()));
  EXPECT_EQ(RetryAfter(Poll()), absl::nullopt);
}

TEST_F(TelegramApiTest, AMethodIsAWord) {
  TelegramApi api(url_, kToken);
  for (const nlohmann::json& call :
       {nlohmann::json{{"method", "../x"}}, nlohmann::json{{"method", 7}},
        nlohmann::json{{"method", ""}}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(api.Call(call))) << call;
  }
}

}  // namespace
}  // namespace userprofile::adapter
