// What every ProfileStore does with look-ups.

#include <string>
#include <vector>

#include "base/error_info.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/store/testing/conformance.h"

namespace userprofile::store {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LookupTest : public ProfileStoreTest {
 protected:
  // A contact of a user who has that username; who they are then.
  v1::Profile Named(std::int64_t user, const std::string& username) {
    now_ += absl::Seconds(1);
    v1::UpsertUserRequest contact = Contact(user);
    contact.mutable_identity()->set_username(username);
    const auto response = store_.Upsert(contact);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->profile() : v1::Profile();
  }

  void ExpectNobody(const v1::LookupProfileRequest& request,
                    const std::string& field) {
    const absl::Status status = store_.Lookup(request).status();
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_EQ(base::ErrorReason(status), "USER_NOT_FOUND");
    EXPECT_EQ(status.message(), "nobody has this " + field);
  }
};

TEST_P(LookupTest, FindsAUserByUsernameInCapitalsOrNot) {
  const v1::Profile stored = Named(1, "Sara_A");
  Named(2, "sara");
  for (const char* username : {"Sara_A", "sara_a", "SARA_A"}) {
    const auto found = store_.LookupUsername(username);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_TRUE(MessageDifferencer::Equals(found->profile(), stored))
        << found->DebugString();
    EXPECT_THAT(found->other_user_ids(), IsEmpty());
  }
  for (const char* username : {"sara_", "sara%", "'", "Sara A", "", "{}"}) {
    v1::LookupProfileRequest request;
    request.set_username(username);
    ExpectNobody(request, "username");
  }
}

TEST_P(LookupTest, OfSeveralItIsWhoWasHeardOfLast) {
  for (std::int64_t user = 1; user <= 14; ++user) Named(user, "sara");
  Named(3, "SARA");
  const auto found = store_.LookupUsername("sara");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->profile().user_id(), 3);
  EXPECT_THAT(found->other_user_ids(),
              ElementsAre(14, 13, 12, 11, 10, 9, 8, 7, 6, 5));
}

TEST_P(LookupTest, GoesByTheUsernameThatSomebodyHasNow) {
  Named(1, "sara");
  Named(1, "reza");
  Named(2, "sara");
  EXPECT_EQ(store_.LookupUsername("sara")->profile().user_id(), 2);
  EXPECT_EQ(store_.LookupUsername("reza")->profile().user_id(), 1);
  Named(1, "");
  v1::LookupProfileRequest request;
  request.set_username("reza");
  ExpectNobody(request, "username");
}

TEST_P(LookupTest, FindsAUserByNicknameAsItIsWritten) {
  ASSERT_TRUE(store_.Upsert(Contact(1)).ok());
  ASSERT_TRUE(store_.Upsert(Contact(2)).ok());
  ASSERT_TRUE(store_.Complete(Answers(1, "Ada")).ok());
  ASSERT_TRUE(store_.Complete(Answers(2, "ada")).ok());
  v1::LookupProfileRequest request;
  request.set_nickname("Ada");
  const auto found = store_.Lookup(request);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->profile().user_id(), 1);
  EXPECT_THAT(found->other_user_ids(), IsEmpty());
  request.set_nickname("ADA");
  ExpectNobody(request, "nickname");
}

TEST_P(LookupTest, NobodyIsFoundWhereNobodyIs) {
  v1::LookupProfileRequest request;
  request.set_username("sara");
  ExpectNobody(request, "username");
  request.set_nickname("sara");
  ExpectNobody(request, "nickname");
}

INSTANTIATE_TEST_SUITE_P(Stores, LookupTest, kImplementations, NameOf);

}  // namespace
}  // namespace userprofile::store
