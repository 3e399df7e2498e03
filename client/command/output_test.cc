#include "client/command/output.h"

#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace userprofile::command {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class OutputTest : public ::testing::Test {
 protected:
  OutputTest() {
    v1::Profile& sara = *profiles_.Add();
    sara.set_user_id(101);
    sara.set_username("sara");
    sara.set_first_name("Sa\x1b[31mra");
    sara.set_nickname("a,b");
    sara.set_is_active(true);
    sara.mutable_created_at()->set_seconds(1795359600);
    sara.set_revision(3);
    (*sara.mutable_attributes()->mutable_fields())["streak"].set_number_value(
        3);
  }

  Output Make(const std::string& form, bool is_terminal = false) {
    return Output({form}, is_terminal, out_);
  }

  std::string Written() {
    std::string text = out_.str();
    out_.str("");
    return text;
  }

  Profiles profiles_;
  std::ostringstream out_;
};

TEST_F(OutputTest, TextOfOneIsAFieldALine) {
  *profiles_.Add() = profiles_[0];
  Make("text").WriteProfiles(profiles_);
  const std::string one =
      "user_id               101\n"
      "username              sara\n"
      "first_name            Sa\ufffd[31mra\n"
      "onboarding_completed  false\n"
      "nickname              a,b\n"
      "is_active             true\n"
      "created_at            2026-11-22T15:00:00Z\n"
      "revision              3\n"
      "attributes            {\"streak\":3}\n";
  EXPECT_EQ(Written(), one + "\n" + one);
}

TEST_F(OutputTest, TextOfManyIsATable) {
  Output output = Make("text");
  output.WriteList(profiles_);
  EXPECT_EQ(
      Written(),
      "user_id  username  first_name  last_name  nickname  real_name  "
      "onboarding_completed  is_active  language_code  last_seen_at\n"
      "101      sara      Sa\ufffd[31mra              a,b                  "
      "false                 true\n");
  output.WriteList(profiles_);
  EXPECT_THAT(Written(), Not(HasSubstr("user_id")));
}

TEST_F(OutputTest, JsonIsAnObjectALineWithTheNamesOfTheApi) {
  Make("json").WriteList(profiles_);
  const std::string line = Written();
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  EXPECT_EQ(nlohmann::json::parse(line), nlohmann::json::parse(R"({
    "user_id": "101", "username": "sara", "first_name": "Sa\u001b[31mra",
    "onboarding_completed": false, "nickname": "a,b", "is_active": true,
    "created_at": "2026-11-22T15:00:00Z", "revision": "3",
    "attributes": {"streak": 3}})"));
  profiles_[0].set_first_name("\u009b31m");
  Make("json").WriteProfiles(profiles_);
  EXPECT_THAT(Written(), HasSubstr("\\u009b31m"));
}

TEST_F(OutputTest, JsonOnATerminalDoesNotTurnItsDirection) {
  profiles_[0].set_first_name("\u2066Sa\u061cra");
  Make("json").WriteProfiles(profiles_);
  EXPECT_EQ(nlohmann::json::parse(Written())["first_name"], "\u2066Sa\u061cra");
  Make("json", /*is_terminal=*/true).WriteProfiles(profiles_);
  EXPECT_EQ(nlohmann::json::parse(Written())["first_name"], "\ufffdSa\ufffdra");
}

TEST_F(OutputTest, CsvHasAHeaderOnceAndEveryField) {
  Output output = Make("csv");
  output.WriteList(profiles_);
  const std::string header =
      "user_id,username,first_name,last_name,language_code,"
      "onboarding_completed,real_name,nickname,study_track,grade_band,"
      "grade_year,phone,is_active,created_at,last_seen_at,updated_at,"
      "last_activity,revision,attributes,created_by_event\r\n";
  const std::string line =
      "101,sara,Sa\x1b[31mra,,,false,,\"a,b\",,,,,true,2026-11-22T15:00:00Z,,,,"
      "3,\"{\"\"streak\"\":3}\",\r\n";
  EXPECT_EQ(Written(), header + line);
  output.WriteList(profiles_);
  EXPECT_EQ(Written(), line);
  Make("csv", /*is_terminal=*/true).WriteProfiles(profiles_);
  EXPECT_THAT(Written(), HasSubstr("Sa\ufffd[31mra"));
  Make("csv").WriteList({});
  EXPECT_EQ(Written(), header);
}

TEST_F(OutputTest, AnEventSaysWhatHappenedToWhom) {
  v1::WatchProfilesResponse changed;
  *changed.mutable_profile() = profiles_[0];
  changed.set_resume_token("token");
  v1::WatchProfilesResponse deleted;
  deleted.set_deleted_user_id(102);
  v1::WatchProfilesResponse unmatched;
  unmatched.set_unmatched_user_id(103);

  for (const char* form : {"text", "csv", "json"}) {
    Output output = Make(form);
    output.WriteEvent({});  // a sign of life
    EXPECT_EQ(Written(), "") << form;
  }
  Output text = Make("text");
  text.WriteEvent(changed);
  EXPECT_THAT(Written(), HasSubstr("\nchanged  101      3         sara"));
  text.WriteEvent(deleted);
  EXPECT_EQ(Written(), "deleted  102\n");
  Output csv = Make("csv");
  csv.WriteEvent(deleted);
  EXPECT_THAT(Written(), HasSubstr("\r\ndeleted,102,,,,,,,,,,,,,,,,,,,\r\n"));
  csv.WriteEvent(unmatched);
  EXPECT_EQ(Written(), "unmatched,103,,,,,,,,,,,,,,,,,,,\r\n");
  Output json = Make("json");
  json.WriteEvent(changed);
  const auto event = nlohmann::json::parse(Written());
  EXPECT_EQ(event["profile"]["user_id"], "101");
  EXPECT_EQ(event["resume_token"], "token");
}

TEST_F(OutputTest, CountsAreNumbers) {
  v1::CountProfilesResponse response;
  response.set_count(5);
  Make("text").WriteCount(response);
  EXPECT_EQ(Written(), "5\n");
  Make("json").WriteCount(response);
  EXPECT_EQ(Written(), "{\"count\":\"5\"}\n");
  Make("csv").WriteCount(response);
  EXPECT_EQ(Written(), "count\r\n5\r\n");
}

TEST_F(OutputTest, WhatCantBeWrittenIsAnError) {
  Output output = Make("text");
  output.WriteSentence("Done.");
  EXPECT_TRUE(output.Flush().ok());
  out_.setstate(std::ios::badbit);
  EXPECT_FALSE(output.Flush().ok());
}

}  // namespace
}  // namespace userprofile::command
