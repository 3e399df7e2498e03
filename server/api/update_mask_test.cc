#include "server/api/update_mask.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"
#include "server/api/testing.h"
#include "server/store/profile_rows.h"
#include "server/users/columns.h"

namespace userprofile::api {
namespace {

using ::testing::ElementsAre;
using ::nlohmann::literals::operator""_json;
using ::testing::UnorderedElementsAre;

v1::UpdateProfileRequest Request(const std::vector<std::string>& paths) {
  v1::UpdateProfileRequest request;
  v1::Profile& profile = *request.mutable_profile();
  profile.set_user_id(7);
  profile.set_nickname("ada");
  profile.set_grade_year("12");
  profile.set_first_name("Ada");
  profile.set_revision(3);
  for (const std::string& path : paths) {
    request.mutable_update_mask()->add_paths(path);
  }
  return request;
}

// What is left in the profile, beside the key, as field=text.
std::vector<std::string> Left(v1::UpdateProfileRequest request) {
  EXPECT_TRUE(ApplyUpdateMask(&request).ok());
  EXPECT_EQ(request.profile().user_id(), 7);
  request.mutable_profile()->clear_user_id();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  request.profile().GetReflection()->ListFields(request.profile(), &fields);
  std::vector<std::string> left;
  for (const auto* field : fields) {
    if (field->name() == "attributes") continue;
    left.push_back(absl::StrCat(field->name(), "=",
                                users::Text(request.profile(), field)));
  }
  return left;
}

TEST(UpdateMaskTest, WithoutOneTheAnswersThatAreThereAreMeant) {
  EXPECT_THAT(Left(Request({})),
              UnorderedElementsAre("nickname=ada", "grade_year=12"));
}

TEST(UpdateMaskTest, NamesWhatIsStoredAndWhatIsCleared) {
  EXPECT_THAT(Left(Request({"grade_year", "phone"})),
              UnorderedElementsAre("grade_year=12", "phone="));
}

TEST(UpdateMaskTest, AStarMeansEveryAnswer) {
  EXPECT_THAT(Left(Request({"*"})),
              UnorderedElementsAre("real_name=", "nickname=ada", "study_track=",
                                   "grade_band=", "grade_year=12", "phone="));
}

// The attributes that are left, as JSON.
nlohmann::json AttributesLeft(const std::vector<std::string>& paths,
                              const std::string& given) {
  v1::UpdateProfileRequest request = Request(paths);
  if (!given.empty()) {
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(
                    given, request.mutable_profile()->mutable_attributes())
                    .ok());
  }
  EXPECT_TRUE(ApplyUpdateMask(&request).ok());
  return request.profile().has_attributes()
             ? nlohmann::json::parse(
                   store::SqlObject(request.profile().attributes()))
             : nlohmann::json("none");
}

TEST(UpdateMaskTest, NamesAttributesByTheirKeys) {
  EXPECT_EQ(AttributesLeft({}, R"({"a":1,"b":2})"), R"({"a":1,"b":2})"_json);
  EXPECT_EQ(AttributesLeft({}, ""), "none");
  EXPECT_EQ(AttributesLeft({"nickname"}, R"({"a":1})"), "none");
  EXPECT_EQ(AttributesLeft({"attributes"}, R"({"a":1})"), R"({"a":1})"_json);
  EXPECT_EQ(AttributesLeft({"attributes"}, ""), "{}"_json);
  EXPECT_EQ(AttributesLeft({"*"}, ""), "{}"_json);
  EXPECT_EQ(AttributesLeft({"attributes.a"}, R"({"a":{"x":[1]},"b":2})"),
            R"({"a":{"x":[1]}})"_json);
  EXPECT_EQ(AttributesLeft({"attributes.c.d"}, R"({"a":1})"),
            R"({"c.d":null})"_json);
}

TEST(UpdateMaskTest, RefusesWhatIsNotToBeUpdated) {
  for (const char* path :
       {"first_name", "user_id", "revision", "is_active", "created_at", "",
        "profile.nickname", "nickname.x", "Nickname", "*"}) {
    v1::UpdateProfileRequest request = Request({"nickname", path});
    const absl::Status refused = ApplyUpdateMask(&request);
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << path;
    EXPECT_THAT(FieldsOf(refused), ElementsAre("update_mask.paths[1]"));
  }
}

// Which is then refused for that.
TEST(UpdateMaskTest, LeavesARequestWithoutProfileWithoutOne) {
  v1::UpdateProfileRequest request;
  ASSERT_TRUE(ApplyUpdateMask(&request).ok());
  EXPECT_FALSE(request.has_profile());
}

}  // namespace
}  // namespace userprofile::api
