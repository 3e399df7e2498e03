// What every ProfileStore does with onboarding.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/conformance.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::HasSubstr;

using OnboardingTest = ProfileStoreTest;

// Those that the table gets later, too.
TEST_P(OnboardingTest, StoresEachTextInTheColumnOfItsName) {
  const auto fill = [](const auto& texts, google::protobuf::Message* message) {
    for (const auto& [given, stored] : texts) {
      message->GetReflection()->SetString(message, given, given->name());
    }
  };
  v1::UpsertUserRequest contact = Contact();
  fill(users::IdentityTexts(), contact.mutable_identity());
  ASSERT_TRUE(store_.Upsert(contact).ok());
  v1::CompleteOnboardingRequest onboarding = Answers(kUser, "");
  fill(users::AnswerTexts(), onboarding.mutable_answers());
  ASSERT_TRUE(store_.Complete(onboarding).ok());
  const v1::Profile profile = store_.Get(kUser)->profile();
  for (const auto* texts : {&users::IdentityTexts(), &users::AnswerTexts()}) {
    for (const auto& [given, stored] : *texts) {
      EXPECT_EQ(users::Text(profile, stored), stored->name());
    }
  }
}

TEST_P(OnboardingTest, CompletesOnboardingOnce) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  now_ += absl::Seconds(5);
  v1::CompleteOnboardingRequest request = Answers(kUser, "ada");
  request.mutable_answers()->set_study_track("mathematics");
  request.mutable_answers()->set_phone("+989123456789");

  auto first = store_.Complete(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->already_completed());
  const v1::Profile& profile = first->profile();
  EXPECT_TRUE(profile.onboarding_completed());
  EXPECT_EQ(profile.real_name(), "Ada Lovelace");
  EXPECT_EQ(profile.nickname(), "ada");
  EXPECT_EQ(profile.study_track(), "mathematics");
  EXPECT_FALSE(profile.has_grade_band());
  EXPECT_EQ(profile.phone(), "+989123456789");
  EXPECT_EQ(profile.first_name(), "Test");
  EXPECT_EQ(profile.revision(), 2);
  EXPECT_EQ(FromTimestamp(profile.updated_at()), kNow + absl::Seconds(5));
  EXPECT_EQ(FromTimestamp(profile.last_seen_at()), kNow + absl::Seconds(5));
  EXPECT_FALSE(profile.has_last_activity());

  auto second = store_.Complete(request);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->already_completed());
  EXPECT_TRUE(MessageDifferencer::Equals(second->profile(), profile));
}

TEST_P(OnboardingTest, RefusesOtherAnswersOfACompletedUser) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  ASSERT_TRUE(store_.Complete(Answers(kUser, "ada")).ok());
  v1::CompleteOnboardingRequest other = Answers(kUser, "ada");
  other.mutable_answers()->set_grade_year("12");
  const absl::Status status = store_.Complete(other).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(base::ErrorReason(status), "ALREADY_ONBOARDED");
  EXPECT_FALSE(store_.Get(kUser)->profile().has_grade_year());
}

TEST_P(OnboardingTest, RefusesOnboardingOfAnUnknownUser) {
  const absl::Status status = store_.Complete(Answers(kUser, "ada")).status();
  EXPECT_EQ(base::ErrorReason(status), "USER_NOT_FOUND");
  EXPECT_TRUE(absl::IsNotFound(store_.Get(kUser).status()));
}

TEST_P(OnboardingTest, RefusesANicknameThatAnotherUserHas) {
  ASSERT_TRUE(store_.Upsert(Contact(1)).ok());
  ASSERT_TRUE(store_.Upsert(Contact(2)).ok());
  ASSERT_TRUE(store_.Complete(Answers(1, "ada")).ok());
  const absl::Status status = store_.Complete(Answers(2, "ada")).status();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
  EXPECT_EQ(base::ErrorReason(status), "NICKNAME_TAKEN");
  EXPECT_THAT(std::string(status.message()), HasSubstr("nickname"));
  EXPECT_FALSE(store_.Get(2)->profile().onboarding_completed());
  EXPECT_TRUE(store_.Complete(Answers(2, "Ada")).ok());
}

TEST_P(OnboardingTest, DoesNotTouchAnswersOnAContact) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  ASSERT_TRUE(store_.Complete(Answers(kUser, "ada")).ok());
  const v1::Profile profile = store_.Upsert(Contact())->profile();
  EXPECT_TRUE(profile.onboarding_completed());
  EXPECT_EQ(profile.nickname(), "ada");
  EXPECT_EQ(profile.real_name(), "Ada Lovelace");
}

TEST_P(OnboardingTest, CompletesOneOfManyConcurrentOnboardings) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  std::vector<v1::CompleteOnboardingRequest> requests;
  for (int i = 0; i < 16; ++i) {
    requests.push_back(Answers(kUser, i % 2 == 0 ? "ada" : "countess"));
  }
  int fresh = 0;
  int refused = 0;
  for (const auto& response : store_.CompleteAll(requests)) {
    if (response.ok()) {
      fresh += response->already_completed() ? 0 : 1;
    } else {
      EXPECT_EQ(base::ErrorReason(response.status()), "ALREADY_ONBOARDED");
      ++refused;
    }
  }
  EXPECT_EQ(fresh, 1);
  EXPECT_EQ(refused, 8);
}

TEST_P(OnboardingTest, GivesEachOfManyOnboardingsItsOwnAnswer) {
  constexpr std::int64_t kUsers = 40;
  for (std::int64_t user = 1; user <= kUsers; ++user) {
    ASSERT_TRUE(store_.Upsert(Contact(user)).ok());
  }
  ASSERT_TRUE(store_.Complete(Answers(1, "ada")).ok());
  ASSERT_TRUE(store_.Complete(Answers(2, "grace")).ok());
  std::vector<v1::CompleteOnboardingRequest> requests = {
      Answers(1, "ada"),             // again
      Answers(2, "other"),           // completed with other answers
      Answers(3, "ada"),             // user 1's
      Answers(kUsers + 1, "nobody")  // unknown
  };
  for (std::int64_t user = 4; user <= kUsers; ++user) {
    requests.push_back(Answers(user, absl::StrCat("nick", user)));
  }
  std::vector<std::string> outcomes;
  for (const auto& response : store_.CompleteAll(requests)) {
    outcomes.push_back(!response.ok() ? base::ErrorReason(response.status())
                       : response->already_completed() ? "again"
                                                       : "completed");
  }
  std::vector<std::string> expected = {"again", "ALREADY_ONBOARDED",
                                       "NICKNAME_TAKEN", "USER_NOT_FOUND"};
  expected.resize(requests.size(), "completed");
  EXPECT_EQ(outcomes, expected);
  for (std::int64_t user = 4; user <= kUsers; ++user) {
    const v1::Profile profile = store_.Get(user)->profile();
    EXPECT_EQ(profile.nickname(), absl::StrCat("nick", user));
    EXPECT_EQ(profile.revision(), 2);
  }
  EXPECT_FALSE(store_.Get(3)->profile().onboarding_completed());
}

TEST_P(OnboardingTest, GivesANicknameToOneOfManyWhoWantIt) {
  std::vector<v1::CompleteOnboardingRequest> requests;
  for (std::int64_t user = 1; user <= 16; ++user) {
    ASSERT_TRUE(store_.Upsert(Contact(user)).ok());
    requests.push_back(Answers(user, "ada"));
  }
  int completed = 0;
  for (const auto& response : store_.CompleteAll(requests)) {
    if (response.ok()) {
      ++completed;
    } else {
      EXPECT_EQ(base::ErrorReason(response.status()), "NICKNAME_TAKEN");
    }
  }
  EXPECT_EQ(completed, 1);
}

INSTANTIATE_TEST_SUITE_P(Stores, OnboardingTest, kImplementations, NameOf);

}  // namespace
}  // namespace userprofile::store
