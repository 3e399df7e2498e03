#include "client/command/filter.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/command_line.h"

namespace userprofile::command {
namespace {

using ::testing::HasSubstr;

class FilterTest : public ::testing::Test {
 protected:
  // The filter that a command line with these flags is given.
  absl::StatusOr<v1::ProfileFilter> Filter(std::vector<const char*> flags) {
    ops::CommandLine line("", "test");
    const ops::Command command = line.AddCommand(line.root(), "list", "");
    FilterOptions options;
    AddFilterFlags(command, options);
    absl::StatusOr<v1::ProfileFilter> filter;
    line.OnCall(command, [&] {
      filter = MakeFilter(options);
      return 0;
    });
    flags.insert(flags.begin(), {"test", "list"});
    exit_code_ = line.Run(static_cast<int>(flags.size()), flags.data());
    return filter;
  }

  int exit_code_ = -1;
};

TEST_F(FilterTest, NoFlagAsksForNothing) {
  EXPECT_EQ(Filter({})->ByteSizeLong(), 0u);
}

TEST_F(FilterTest, HasAFlagForEachField) {
  const auto filter = Filter({"--onboarding-completed",
                              "--active=false",
                              "--study-track",
                              "Maths",
                              "--grade-band",
                              "High",
                              "--grade-year=11",
                              "--language",
                              "pt",
                              "--nickname-prefix",
                              "sa",
                              "--created-from",
                              "2026-01-01",
                              "--created-before",
                              "2026-02-01T00:00:00+03:30",
                              "--last-seen-from",
                              "2026-01-02",
                              "--last-seen-before",
                              "2026-01-03",
                              "--last-activity-from",
                              "2026-01-04",
                              "--last-activity-before",
                              "2026-01-05",
                              "--attribute",
                              "city=Shiraz",
                              "--attribute",
                              "left=null"});
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_TRUE(filter->onboarding_completed());
  EXPECT_TRUE(filter->has_is_active());
  EXPECT_FALSE(filter->is_active());
  EXPECT_EQ(filter->study_track(), "Maths");
  EXPECT_EQ(filter->grade_year(), "11");
  EXPECT_EQ(filter->language_code(), "pt");
  EXPECT_EQ(filter->nickname_prefix(), "sa");
  EXPECT_EQ(filter->created_at().from().seconds(), 1767225600);
  EXPECT_EQ(filter->created_at().before().seconds(), 1769891400);
  EXPECT_EQ(filter->last_activity().before().seconds(), 1767571200);
  const auto& attributes = filter->attributes().fields();
  EXPECT_EQ(attributes.at("city").string_value(), "Shiraz");
  EXPECT_TRUE(attributes.at("left").has_null_value());
  // A field that is new has no flag yet.
  const auto& descriptor = *v1::ProfileFilter::descriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    EXPECT_TRUE(filter->GetReflection()->HasField(*filter, descriptor.field(i)))
        << descriptor.field(i)->name();
  }
}

TEST_F(FilterTest, WhatIsWrongIsSaidWithItsFlag) {
  const struct {
    std::vector<const char*> flags;
    const char* message;
  } cases[] = {
      {{"--created-from", "yesterday"}, "--created-from: \"yesterday\" is no"},
      {{"--attribute", "city"}, "--attribute: \"city\" is not NAME=VALUE"},
      {{"--attribute", "a=1", "--attribute", "a=2"}, "\"a\" is there twice"},
  };
  for (const auto& c : cases) {
    const auto filter = Filter(c.flags);
    EXPECT_TRUE(absl::IsInvalidArgument(filter.status())) << c.message;
    EXPECT_THAT(std::string(filter.status().message()), HasSubstr(c.message));
  }
  for (const std::vector<const char*>& flags :
       std::vector<std::vector<const char*>>{{"--active=perhaps"},
                                             {"--language", ""},
                                             {"--active="},
                                             {"--nobody"}}) {
    (void)Filter(flags);
    EXPECT_EQ(exit_code_, ops::kWrongUsage) << flags.front();
  }
}

// What one call is about is no setting.
TEST_F(FilterTest, IsNotTakenFromTheEnvironment) {
  ::setenv("USERPROFILE_LANGUAGE", "fa", 1);
  EXPECT_EQ(Filter({})->language_code(), "");
  ::unsetenv("USERPROFILE_LANGUAGE");
}

}  // namespace
}  // namespace userprofile::command
