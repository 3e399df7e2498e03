#include "client/command/edit.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace userprofile::command {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(EditTest, NamesWhatIsSetAndCleared) {
  const auto request = MakeUpdate(
      {.user_id = "101",
       .set = {"nickname=a=b", "attributes.streak=3", "attributes.a.b=text"},
       .clear = {"phone", "attributes.old"},
       .if_revision = "7"});
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->profile().user_id(), 101);
  EXPECT_EQ(request->expected_revision(), 7);
  EXPECT_FALSE(request->reset_onboarding());
  EXPECT_THAT(request->update_mask().paths(),
              ElementsAre("nickname", "attributes.streak", "attributes.a.b",
                          "phone", "attributes.old"));
  EXPECT_EQ(request->profile().nickname(), "a=b");
  EXPECT_FALSE(request->profile().has_phone());
  const auto& attributes = request->profile().attributes().fields();
  EXPECT_EQ(attributes.at("streak").number_value(), 3);
  EXPECT_EQ(attributes.at("a.b").string_value(), "text");
}

TEST(EditTest, SetsAllAttributesAtOnce) {
  const auto request =
      MakeUpdate({.user_id = "101", .set = {"attributes={\"a\": 1}"}});
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_THAT(request->update_mask().paths(), ElementsAre("attributes"));
  EXPECT_EQ(request->profile().attributes().fields_size(), 1);
}

TEST(EditTest, StartsOnboardingOver) {
  const auto request = MakeUpdate({.user_id = "101", .reset_onboarding = true});
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_TRUE(request->reset_onboarding());
  EXPECT_FALSE(request->has_expected_revision());
}

TEST(EditTest, WhatMakesNoSenseIsSaid) {
  const struct {
    EditArguments arguments;
    const char* message;
  } cases[] = {
      {{.user_id = "101"}, "nothing to change"},
      {{.user_id = "x", .set = {"phone=1"}}, "is no user id"},
      {{.user_id = "101", .set = {"phone=1"}, .if_revision = "0"},
       "is no revision"},
      {{.user_id = "101", .set = {"phone="}}, "--clear NAME leaves nothing"},
      {{.user_id = "101", .set = {"first_name=x"}}, "can't be changed"},
      {{.user_id = "101", .clear = {"revision"}}, "phone, attributes or"},
      {{.user_id = "101", .set = {"attributes=3"}}, "a JSON object"},
      {{.user_id = "101", .set = {"phone=1"}, .clear = {"phone"}},
       "\"phone\" is there twice"},
      {{.user_id = "101", .set = {"attributes.a=1"}, .clear = {"attributes"}},
       "not both"},
  };
  for (const auto& c : cases) {
    const auto request = MakeUpdate(c.arguments);
    EXPECT_TRUE(absl::IsInvalidArgument(request.status())) << c.message;
    EXPECT_THAT(std::string(request.status().message()), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace userprofile::command
