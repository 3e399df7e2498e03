#include "server/users/columns.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "userprofile/v1/annotations.pb.h"

namespace userprofile::users {
namespace {

using ::testing::ElementsAreArray;
using ::testing::UnorderedElementsAreArray;

std::vector<std::string> Names(absl::Span<const Column> columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name);
  return names;
}

std::vector<std::string> Fields(const google::protobuf::Descriptor* message) {
  std::vector<std::string> names;
  for (int i = 0; i < message->field_count(); ++i) {
    names.push_back(message->field(i)->name());
  }
  return names;
}

TEST(ColumnsTest, AreTheFieldsOfTheApi) {
  EXPECT_THAT(Names(Columns()),
              ElementsAreArray(Fields(v1::Profile::descriptor())));
  EXPECT_THAT(Names(Columns(Kind::kIdentity)),
              UnorderedElementsAreArray(Fields(v1::Identity::descriptor())));
  EXPECT_THAT(
      Names(Columns(Kind::kAnswer)),
      UnorderedElementsAreArray(Fields(v1::OnboardingAnswers::descriptor())));
}

// Whoever may not know a personal field may look up.
TEST(ColumnsTest, AreWhatUsersAreLookedUpByIfNotPersonal) {
  std::vector<std::string> names;
  for (const Column& column : Columns()) {
    if (column.lookup == Lookup::kNone) continue;
    names.push_back(column.name);
    EXPECT_FALSE(v1::Profile::descriptor()
                     ->FindFieldByName(column.name)
                     ->options()
                     .GetExtension(v1::personal))
        << column.name;
  }
  EXPECT_THAT(names, UnorderedElementsAreArray(
                         Fields(v1::LookupProfileRequest::descriptor())));
}

TEST(ColumnsTest, SetTheFieldOfTheirName) {
  for (const Column& column : Columns()) {
    v1::Profile profile;
    if (const auto* set = std::get_if<IntegerField>(&column.field)) {
      (profile.**set)(1);
    } else if (const auto* flag = std::get_if<FlagField>(&column.field)) {
      (profile.**flag)(true);
    } else if (const auto* text = std::get_if<TextField>(&column.field)) {
      (profile.**text)();
    } else if (const auto* time = std::get_if<TimeField>(&column.field)) {
      (profile.**time)();
    } else {
      (profile.*std::get<ObjectField>(column.field))();
    }
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    v1::Profile::GetReflection()->ListFields(profile, &fields);
    ASSERT_EQ(fields.size(), 1u) << column.name;
    EXPECT_EQ(fields[0]->name(), column.name);
  }
}

}  // namespace
}  // namespace userprofile::users
