#include "client/adapter/bot_call.h"

#include <string>

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "ops/http_server.h"

namespace userprofile::adapter {
namespace {

BotCall CallOf(const std::string& path) {
  ops::HttpRequest request;
  request.path = path;
  return ReadBotCall(request);
}

TEST(BotCallTest, TellsTheBotAndTheMethod) {
  const struct {
    std::string path;
    const char* bot;
    const char* method;
  } cases[] = {
      {"/bot123:SECRET/getUpdates", "123", "getupdates"},
      {"/bot123:SECRET/GETUPDATES", "123", "getupdates"},
      {"/bot123:SECRET/sendMessage", "123", "sendmessage"},
      // Of Telegram's test environment.
      {"/bot123:SECRET/test/getUpdates", "123", "getupdates"},
      {"/bot123:SECRET/", "123", ""},
      {"/bot123:SECRET", "123", ""},
      {"/file/bot123:SECRET/photos/getUpdates", "123", ""},
      {"/botSECRET/getMe", "?", "getme"},
      {"/bot:SECRET/getMe", "?", "getme"},
      {"/bot12x:SECRET/getMe", "?", "getme"},
      {absl::StrCat("/bot", std::string(30, '1'), ":SECRET/getMe"), "?",
       "getme"},
      {"/getUpdates", "?", ""},
      {"/", "?", ""},
      {"", "?", ""},
  };
  for (const auto& c : cases) {
    const BotCall call = CallOf(c.path);
    EXPECT_EQ(call.bot, c.bot) << c.path;
    EXPECT_EQ(call.method, c.method) << c.path;
  }
}

class NumberArgumentTest : public ::testing::Test {
 protected:
  absl::optional<std::int64_t> Find(const std::string& type,
                                    const std::string& body,
                                    bool whole = true) {
    ops::HttpRequest request;
    request.target = target_;
    if (!type.empty()) request.headers = {{"content-type", type}};
    return NumberArgument(request, body, "chat_id", whole);
  }

  std::string target_ = "/bot1:x/sendMessage";
};

constexpr char kForm[] = "application/x-www-form-urlencoded";
constexpr char kJson[] = "application/json; charset=utf-8";
constexpr char kMultipart[] = "Multipart/Form-Data; charset=x; boundary=\"-b\"";

TEST_F(NumberArgumentTest, IsBehindThePath) {
  target_ += "?text=a&chat_id=-5&chat_id=6";
  EXPECT_EQ(Find("", ""), -5);
  EXPECT_EQ(Find(kJson, R"({"chat_id": 7})"), -5);
  target_ = "/chat_id=5";
  EXPECT_EQ(Find("", ""), absl::nullopt);
}

TEST_F(NumberArgumentTest, IsInAForm) {
  EXPECT_EQ(Find(kForm, "chat_id=9007199254740993&text=x"), 9007199254740993);
  EXPECT_EQ(Find("", "text=x%26chat_id=1&chat_id=2"), 2);
  for (const char* none :
       {"", "&", "chat_id", "chat_id=", "chat_id=%40name", "chat_id=1.5",
        "chat_id=99999999999999999999", "xchat_id=1", "chat_id2=1"}) {
    EXPECT_EQ(Find(kForm, none), absl::nullopt) << none;
  }
}

TEST_F(NumberArgumentTest, IsInJson) {
  EXPECT_EQ(Find(kJson, R"({"text": "x", "chat_id": 42})"), 42);
  EXPECT_EQ(Find(kJson, R"({"chat_id": "42"})"), 42);
  for (const char* none :
       {"", "{", "[]", "3", "null", R"({"chat_id": null})",
        R"({"chat_id": "@name"})", R"({"chat_id": 4.5})",
        R"({"chat_id": [42]})", R"({"x": {"chat_id": 42}})"}) {
    EXPECT_EQ(Find(kJson, none), absl::nullopt) << none;
  }
  EXPECT_EQ(Find(kJson, std::string(100'000, '[')), absl::nullopt);
  EXPECT_EQ(Find(kJson, std::string("{\"chat_id\": 4\0}", 15)), absl::nullopt);
}

std::string Part(const std::string& name, const std::string& value) {
  return absl::StrCat("---b\r\nContent-Disposition: form-data; name=\"", name,
                      "\"\r\n\r\n", value, "\r\n");
}

TEST_F(NumberArgumentTest, IsInMultipart) {
  EXPECT_EQ(Find(kMultipart,
                 Part("text", "chat_id") + Part("chat_id", "42") + "---b--"),
            42);
  // As some write it.
  EXPECT_EQ(Find("multipart/form-data; boundary=-b",
                 "---b\r\nContent-Type: text/plain\r\n"
                 "content-disposition: form-data;name=chat_id\r\n\r\n"
                 "42\r\n---b--\r\n"),
            42);
  EXPECT_EQ(Find(kMultipart, std::string("\0\r\n", 3) + Part("x", "\r\n\r\n") +
                                 Part("chat_id", "-42") + "---b--"),
            -42);
  for (const std::string& none :
       {std::string(), std::string("---b"), Part("chat_id", "@x") + "---b--",
        std::string("---b\r\nContent-Disposition: form-data; "
                    "name=\"chat_id\"\r\n---b--"),
        // Inside another's value.
        Part("text",
             "Content-Disposition: form-data; name=\"chat_id\""
             "\r\n\r\n42") +
            "---b--"}) {
    EXPECT_EQ(Find(kMultipart, none), absl::nullopt) << none;
  }
  EXPECT_EQ(Find("multipart/form-data", Part("chat_id", "42") + "---b--"),
            absl::nullopt);
}

TEST_F(NumberArgumentTest, IsNotTakenFromWhatIsCutOff) {
  EXPECT_EQ(Find(kForm, "chat_id=42&text=xx", /*whole=*/false), 42);
  EXPECT_EQ(Find(kForm, "text=xx&chat_id=42", /*whole=*/false), absl::nullopt);
  EXPECT_EQ(Find(kForm, "chat_id=42", /*whole=*/false), absl::nullopt);
  EXPECT_EQ(Find(kMultipart,
                 Part("chat_id", "42") +
                     "---b\r\nContent-Disposition: form-data; name=\"photo\"; "
                     "filename=\"x\"\r\n\r\n\x89PNG",
                 /*whole=*/false),
            42);
  EXPECT_EQ(Find(kMultipart, Part("chat_id", "42"), /*whole=*/false),
            absl::nullopt);
  EXPECT_EQ(Find(kJson, R"({"chat_id": 42, "text": "xx)", /*whole=*/false),
            absl::nullopt);
}

}  // namespace
}  // namespace userprofile::adapter
