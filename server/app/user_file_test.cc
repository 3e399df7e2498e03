#include "server/app/user_file.h"

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/profile_rows.h"

namespace userprofile::app {
namespace {

using store::FromTimestamp;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Result {
  std::vector<UserOfFile> users;
  absl::Status status;
};

Result ReadAll(const std::string& text, UserFileOptions options = {}) {
  std::istringstream in(text);
  UserFile file(in, std::move(options));
  Result result;
  while (auto user = file.Next()) result.users.push_back(*std::move(user));
  result.status = file.status();
  return result;
}

UserFileOptions Csv() { return {.csv = true}; }

absl::Time At(const char* text) {
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, nullptr));
  return time;
}

TEST(UserFileTest, ReadsAnObjectALine) {
  const Result result = ReadAll(
      R"({"user_id": 7, "first_name": "Ada", "username": "@ada",
)"
      R"(junk
{"user_id": "8", "real_name": "Ada L", "nickname": "ada", "phone": "+989123456789", "is_active": false, "attributes": {"level": 3}, "created_at": "2025-10-01T08:00:00Z", "revision": "9", "last_name": null, "study_track": ""}

{"user_id":9})");
  ASSERT_TRUE(result.status.ok()) << result.status;
  ASSERT_EQ(result.users.size(), 4u);
  EXPECT_FALSE(result.users[0].user.has_value());
  EXPECT_THAT(result.users[1].faults, ElementsAre("is no object of JSON"));
  const UserOfFile& ada = result.users[2];
  EXPECT_EQ(ada.line, 3);
  EXPECT_THAT(ada.faults, IsEmpty());
  const v1::Profile& profile = ada.user->profile;
  EXPECT_EQ(profile.user_id(), 8);
  EXPECT_EQ(profile.real_name(), "Ada L");
  EXPECT_EQ(profile.phone(), "+989123456789");
  EXPECT_EQ(profile.attributes().fields().at("level").number_value(), 3);
  EXPECT_EQ(FromTimestamp(profile.created_at()), At("2025-10-01T08:00:00Z"));
  EXPECT_EQ(profile.revision(), 0);
  EXPECT_FALSE(profile.has_last_name());
  EXPECT_FALSE(profile.has_study_track());
  EXPECT_EQ(ada.user->is_active, false);
  EXPECT_FALSE(ada.user->onboarding_completed.has_value());
  EXPECT_EQ(result.users[3].line, 5);
}

TEST(UserFileTest, ReadsRowsUnderAHeader) {
  const Result result = ReadAll(
      "\xef\xbb\xbfuser_id,first_name,onboarding_completed,created_at\r\n"
      "7,\"A \"\"x\"\", \nb\",TRUE,2025-10-01 08:00:00\r\n"
      "8,,f,1759305600\r\n"
      "9,x\r\n"
      ",y,,\n"
      "10, z ,,2025-10-01T08:00:00.5+03:30",
      Csv());
  ASSERT_TRUE(result.status.ok()) << result.status;
  ASSERT_EQ(result.users.size(), 5u);
  EXPECT_THAT(result.users[0].faults,
              ElementsAre("first_name must not hold control characters"));
  EXPECT_EQ(result.users[0].line, 2);
  EXPECT_EQ(result.users[0].user->onboarding_completed, true);
  EXPECT_EQ(FromTimestamp(result.users[0].user->profile.created_at()),
            At("2025-10-01T08:00:00Z"));
  EXPECT_EQ(FromTimestamp(result.users[1].user->profile.created_at()),
            At("2025-10-01T08:00:00Z"));
  EXPECT_THAT(result.users[2].faults,
              ElementsAre("has 2 values, and the header 4"));
  EXPECT_THAT(result.users[3].faults, ElementsAre("user_id is missing"));
  EXPECT_EQ(result.users[4].user->profile.first_name(), " z ");
  EXPECT_EQ(FromTimestamp(result.users[4].user->profile.created_at()),
            At("2025-10-01T04:30:00.5Z"));
}

TEST(UserFileTest, LeavesOutWhatTheServiceRefusesAndSaysSo) {
  const std::string object = absl::StrCat(
      R"({"user_id": 7, "first_name": ")", std::string(1000, 'x'),
      R"(", "username": "ada", "phone": "12", "real_name": "A\u0000b",)",
      R"( "created_at": "soon", "is_active": "perhaps", "attributes": [1],)",
      R"( "nickname": "ada"})");
  const Result result = ReadAll(object);
  ASSERT_EQ(result.users.size(), 1u);
  EXPECT_THAT(result.users[0].faults,
              ::testing::UnorderedElementsAre(
                  HasSubstr("created_at must be a time"),
                  "is_active must be true or false",
                  "attributes must be an object of JSON",
                  HasSubstr("first_name must be at most"),
                  HasSubstr("phone must be a phone number"),
                  "real_name must not hold control characters"));
  const v1::Profile& profile = result.users[0].user->profile;
  EXPECT_FALSE(profile.has_first_name());
  EXPECT_EQ(profile.username(), "ada");
  EXPECT_EQ(profile.nickname(), "ada");
  EXPECT_FALSE(profile.has_phone());
}

TEST(UserFileTest, NobodyIsWhoHasNoPossibleId) {
  for (const char* id : {"0", "-1", "\"x\"", "4503599627370496", "1.5"}) {
    const Result result = ReadAll(absl::StrCat("{\"user_id\": ", id, "}"));
    ASSERT_EQ(result.users.size(), 1u) << id;
    EXPECT_FALSE(result.users[0].user.has_value()) << id;
    EXPECT_FALSE(result.users[0].faults.empty()) << id;
  }
}

TEST(UserFileTest, CallsFieldsAsTheFileDoes) {
  UserFileOptions options = Csv();
  options.fields = {{"tg", "user_id"}, {"name", "real_name"}};
  options.skipped = {"password"};
  const Result result =
      ReadAll("tg,name,password\n7,Ada,secret\n", std::move(options));
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.users[0].user->profile.real_name(), "Ada");
}

TEST(UserFileTest, ANameThatNobodyKnowsEndsItAndIsNamed) {
  const Result result = ReadAll("{\"user_id\":7}\n{\"user_id\":8,\"nick\":1}");
  EXPECT_EQ(result.users.size(), 1u);
  EXPECT_TRUE(absl::IsInvalidArgument(result.status));
  EXPECT_THAT(std::string(result.status.message()),
              HasSubstr("in line 2 there is a name that no field of a user "
                        "has: \"nick\""));
}

TEST(UserFileTest, ATimeThatCantBeIsLeftOutAndMillisecondsAreOne) {
  UserFileOptions options;
  options.latest = At("2026-01-01T00:00:00Z");
  Result result =
      ReadAll(R"({"user_id":1,"created_at":1727769600000})", options);
  EXPECT_THAT(result.users[0].faults, IsEmpty());
  EXPECT_EQ(FromTimestamp(result.users[0].user->profile.created_at()),
            At("2024-10-01T08:00:00Z"));
  for (const char* time :
       {"2025", "20251001", "1e300", "\"0001-01-01T00:00:00Z\"",
        "\"infinite-future\"", "\"2026-01-02T00:00:00Z\"", "-1"}) {
    result = ReadAll(
        absl::StrCat("{\"user_id\":1,\"last_seen_at\":", time, "}"), options);
    ASSERT_EQ(result.users.size(), 1u) << time;
    EXPECT_THAT(result.users[0].faults,
                ElementsAre(HasSubstr("last_seen_at must be a time from 2013")))
        << time;
    EXPECT_FALSE(result.users[0].user->profile.has_last_seen_at()) << time;
  }
}

TEST(UserFileTest, AByteOrderMarkMayStandBeforeAQuote) {
  const Result result = ReadAll("\xef\xbb\xbf\"user_id\"\n7\n", Csv());
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.users.size(), 1u);
}

TEST(UserFileTest, AFieldThatIsNamedTwiceEndsIt) {
  UserFileOptions options = Csv();
  options.fields = {{"name", "real_name"}};
  const Result result =
      ReadAll("user_id,name,real_name\n7,Ada,Eve\n", std::move(options));
  EXPECT_TRUE(absl::IsInvalidArgument(result.status));
  EXPECT_THAT(result.users, IsEmpty());
}

TEST(UserFileTest, WhatIsDeepHarmsNobody) {
  const std::string deep(1'000'000, '[');
  const Result result = ReadAll(
      absl::StrCat(R"({"user_id":7,"attributes":)", deep,
                   std::string(deep.size(), ']'), "}\n{\"user_id\":8}"));
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.users.size(), 2u);
}

TEST(UserFileTest, WhatIsNoCsvEndsItBehindTheGoodRows) {
  const Result result = ReadAll("user_id\n7\n\"8\n", Csv());
  EXPECT_EQ(result.users.size(), 1u);
  EXPECT_TRUE(absl::IsInvalidArgument(result.status)) << result.status;
  EXPECT_THAT(std::string(result.status.message()), HasSubstr("after row 2"));
}

TEST(UserFileTest, AnEmptyFileHasNobody) {
  for (const UserFileOptions& options : {UserFileOptions(), Csv()}) {
    const Result result = ReadAll("", options);
    EXPECT_TRUE(result.status.ok());
    EXPECT_THAT(result.users, IsEmpty());
  }
}

}  // namespace
}  // namespace userprofile::app
