#include "client/adapter/updates_answer.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/adapter/bot_call.h"
#include "client/adapter/testing.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

UpdatesAnswer Read(const std::string& text, const std::string& bot = "12") {
  auto answer = UpdatesAnswer::Read(text, bot);
  EXPECT_TRUE(answer.has_value()) << text;
  return answer.value_or(
      *UpdatesAnswer::Read(R"({"ok":true,"result":[]})", bot));
}

std::string AnswerOf(const std::vector<std::string>& updates) {
  std::string text;
  for (const std::string& update : updates) {
    absl::StrAppend(&text, text.empty() ? "" : ",", update);
  }
  return absl::StrCat(R"({"ok":true,"result":[)", text, "]}");
}

const Sender kNewcomer{Recognized::kNew, R"({"user_id":"7"})"};

TEST(UpdatesAnswerTest, EachUpdateSaysWhoItIsFrom) {
  const std::string poll = R"({"update_id":3,"poll":{}})";
  const UpdatesAnswer answer =
      Read(AnswerOf({MessageOf(7, 1), MessageOf(8, 2), poll}));
  ASSERT_EQ(answer.updates().size(), 3u);
  EXPECT_EQ(answer.updates()[0].contact->user_id(), 7);
  EXPECT_EQ(answer.updates()[1].contact->user_id(), 8);
  EXPECT_FALSE(answer.updates()[2].contact);

  const auto told = json::parse(
      answer.Tell({kNewcomer, Sender{Recognized::kError}, Sender{}}));
  EXPECT_EQ(told["result"][0]["userprofile"],
            json::parse(R"({"recognized":"new","profile":{"user_id":"7"}})"));
  EXPECT_EQ(told["result"][1]["userprofile"],
            json::parse(R"({"recognized":"unknown"})"));
  EXPECT_EQ(told["result"][2], json::parse(poll));
}

TEST(UpdatesAnswerTest, ContactsAreNamedByBotAndUpdate) {
  const std::string text = AnswerOf({MessageOf(7, 41)});
  EXPECT_EQ(Read(text).updates()[0].contact->event_id(), "12:41");
  EXPECT_EQ(Read(text, kUnknownBot).updates()[0].contact->event_id(), "");
}

TEST(UpdatesAnswerTest, AllElseStaysToTheByte) {
  const std::string text =
      "\n { \"x\" : [ 1 ,{}], \"ok\"\t:true,\"result\":[ \n"
      "{ \"update_id\" : 1, \"m\": [{\"a\":\"]}\\\"\\u00e9\\ud83d\\ude00\"}],"
      "\"n\":1.50e2,\"big\":123456789012345678901234567890 } , \r\n"
      "{\"update_id\":2}\n ] , \"y\": {\"result\":[{}]} } \n";
  const UpdatesAnswer answer = Read(text);
  EXPECT_EQ(answer.Tell({Sender{}, Sender{}}), text);
  EXPECT_EQ(answer.Tell({kNewcomer, Sender{}}),
            absl::StrReplaceAll(
                text, {{"7890 } ,",
                        absl::StrCat("7890 ,\"userprofile\":{\"recognized\":"
                                     "\"new\",\"profile\":",
                                     kNewcomer.profile, "}} ,")}}));
}

TEST(UpdatesAnswerTest, ThoseOfNoSenderAreLeftOut) {
  const std::vector<std::string> updates = {
      R"({"update_id":1})", R"({"update_id":2})", R"({"update_id":3})"};
  const UpdatesAnswer answer = Read(AnswerOf(updates));
  EXPECT_EQ(answer.Tell({}), AnswerOf({}));
  EXPECT_EQ(answer.Tell({Sender{}}), AnswerOf({updates[0]}));
  EXPECT_EQ(answer.Tell({Sender{}, Sender{}}),
            AnswerOf({updates[0], updates[1]}));
  EXPECT_EQ(answer.Tell({Sender{}, Sender{}, Sender{}}), AnswerOf(updates));
}

TEST(UpdatesAnswerTest, NoUpdatesAreAnAnswerToo) {
  for (const char* text :
       {R"({"ok":true,"result":[]})", "{\"result\": [ ],\n\"ok\": true} "}) {
    EXPECT_EQ(Read(text).Tell({}), text);
  }
}

TEST(UpdatesAnswerTest, WhatIsUnknownOrBrokenPasses) {
  const std::string unknown = R"({"update_id":1,"new_kind":{"from":{"id":7}}})";
  const std::string broken = R"({"update_id":2,"message":{"from":{"id":"7"}}})";
  const std::string nameless = R"({"message":{}})";
  const std::string empty = "{}";
  const std::string text = AnswerOf({unknown, broken, nameless, empty});
  const UpdatesAnswer answer = Read(text);
  std::vector<Sender> senders;
  for (const Update& update : answer.updates()) {
    EXPECT_FALSE(update.contact);
    senders.push_back(Sender{update.outcome.recognized});
  }
  const auto told = json::parse(answer.Tell(senders))["result"];
  EXPECT_EQ(told[0], json::parse(unknown));
  EXPECT_EQ(told[1]["userprofile"]["recognized"], "unknown");
  EXPECT_EQ(told[2], json::parse(nameless));
  EXPECT_EQ(told[3], json::parse(empty));
}

TEST(UpdatesAnswerTest, WhatIsNotUnicodeIsReplacedAndKeepsNobodyWaiting) {
  std::string text = AnswerOf({MessageOf(7, 1), MessageOf(8, 2)});
  text = absl::StrReplaceAll(text, {{"Ada", "\xff\\ud800"}});
  const UpdatesAnswer answer = Read(text);
  EXPECT_EQ(answer.updates()[0].contact->user_id(), 7);
  const auto told =
      json::parse(answer.Tell({kNewcomer, kNewcomer}), nullptr, false);
  ASSERT_TRUE(told.is_object());
  EXPECT_EQ(told["result"][1]["message"]["from"]["first_name"],
            "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(told["result"][1]["userprofile"]["recognized"], "new");
}

TEST(UpdatesAnswerTest, WhatIsDeepHarmsNobody) {
  const std::string deep =
      absl::StrCat(R"({"update_id":1,"x":)", std::string(100'000, '['),
                   std::string(100'000, ']'), "}");
  const std::string text = AnswerOf({deep, MessageOf(7, 2)});
  const UpdatesAnswer answer = Read(text);
  ASSERT_EQ(answer.updates().size(), 2u);
  EXPECT_EQ(answer.updates()[1].contact->user_id(), 7);
  EXPECT_EQ(answer.Tell({Sender{}, Sender{}}), text);
}

TEST(UpdatesAnswerTest, HugeAnswersAreRead) {
  std::vector<std::string> updates;
  for (int i = 0; i < 100; ++i) {
    updates.push_back(absl::StrReplaceAll(
        MessageOf(i + 1, i),
        {{R"("x")", absl::StrCat("\"", std::string(100'000, 'x'), "\"")}}));
  }
  const std::string text = AnswerOf(updates);
  const UpdatesAnswer answer = Read(text);
  ASSERT_EQ(answer.updates().size(), 100u);
  const std::string told =
      answer.Tell(std::vector<Sender>(100, Sender{Recognized::kReturning}));
  EXPECT_GT(told.size(), text.size());
  EXPECT_EQ(json::parse(told)["result"][99]["userprofile"]["recognized"],
            "returning");
}

TEST(UpdatesAnswerTest, RefusesWhatIsNoListOfUpdates) {
  for (const std::string& text :
       {std::string(), std::string("<html>"), std::string("[]"),
        std::string("true"), std::string("{}"), std::string(R"({"ok":true})"),
        std::string(R"({"ok":true,"result":true})"),
        std::string(R"({"ok":true,"result":{}})"),
        std::string(R"({"ok":false,"result":[]})"),
        std::string(R"({"ok":"true","result":[]})"),
        std::string(R"({"result":[{"update_id":1}]})"),
        std::string(R"({"ok":true,"result":[1]})"),
        std::string(R"({"ok":true,"result":[[{"update_id":1}]]})"),
        std::string(R"({"ok":true,"result":[{"update_id":1}],"result":[]})"),
        std::string(R"({"ok":true,"result":[{"update_id":1})"),
        std::string("{\"ok\":true,\"\0\":1,\"result\":[{\"a\":\"\0\"}]}", 38),
        AnswerOf({MessageOf(7, 1)}) + "x"}) {
    EXPECT_FALSE(UpdatesAnswer::Read(text, "12")) << text;
  }
}

}  // namespace
}  // namespace userprofile::adapter
