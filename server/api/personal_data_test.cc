#include "server/api/personal_data.h"

#include "gtest/gtest.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::api {
namespace {

TEST(PersonalDataTest, IsWithheldWhereverItStands) {
  v1::UpsertUserResponse response;
  const PersonalData data(*v1::UpsertUserResponse::descriptor());
  data.Withhold(&response);
  EXPECT_FALSE(response.has_profile());

  v1::Profile& profile = *response.mutable_profile();
  profile.set_user_id(1);
  profile.set_first_name("Sara");
  profile.set_nickname("sara");
  v1::Profile expected = profile;
  profile.set_real_name("Sara Ahmadi");
  profile.set_phone("+989123456789");
  data.Withhold(&response);
  EXPECT_EQ(response.profile().SerializeAsString(),
            expected.SerializeAsString());
}

}  // namespace
}  // namespace userprofile::api
