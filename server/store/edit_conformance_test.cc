// What every ProfileStore does with corrections and deletions.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/conformance.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

using ::google::protobuf::util::MessageDifferencer;

class EditTest : public ProfileStoreTest {
 protected:
  // A user who completed onboarding.
  v1::Profile Onboarded(std::int64_t user_id, const std::string& nickname) {
    EXPECT_TRUE(store_.Upsert(Contact(user_id)).ok());
    const auto completed = store_.Complete(Answers(user_id, nickname));
    EXPECT_TRUE(completed.ok()) << completed.status();
    return completed->profile();
  }

  v1::UpdateProfileRequest Update(std::int64_t user_id = kUser) {
    v1::UpdateProfileRequest request;
    request.mutable_profile()->set_user_id(user_id);
    return request;
  }

  v1::DeleteUserRequest Delete(std::int64_t user_id = kUser) {
    v1::DeleteUserRequest request;
    request.set_user_id(user_id);
    return request;
  }

  static google::protobuf::Struct Object(const std::string& json) {
    google::protobuf::Struct object;
    EXPECT_TRUE(
        google::protobuf::util::JsonStringToMessage(json, &object).ok());
    return object;
  }
};

// Those that the table gets later, too.
TEST_P(EditTest, StoresEachAnswerAloneAndClearsIt) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  for (const auto& [given, stored] : users::AnswerTexts()) {
    v1::Profile expected = store_.Get(kUser)->profile();
    v1::UpdateProfileRequest request = Update();
    const auto set = [&, field = stored](const std::string& text) {
      v1::Profile* profile = request.mutable_profile();
      profile->GetReflection()->SetString(profile, field, text);
    };
    set(stored->name());
    now_ += absl::Seconds(1);
    auto updated = store_.Update(request);
    ASSERT_TRUE(updated.ok()) << updated.status();
    expected.GetReflection()->SetString(&expected, stored, stored->name());
    expected.set_revision(expected.revision() + 1);
    SetTimestamp(now_.load(), expected.mutable_updated_at());
    EXPECT_TRUE(MessageDifferencer::Equals(updated->profile(), expected))
        << updated->profile().DebugString();
    EXPECT_TRUE(
        MessageDifferencer::Equals(store_.Get(kUser)->profile(), expected));

    set("");
    updated = store_.Update(request);
    ASSERT_TRUE(updated.ok()) << updated.status();
    EXPECT_FALSE(users::Has(updated->profile(), stored)) << stored->name();
  }
}

TEST_P(EditTest, AnUpdateThatChangesNothingWritesNothing) {
  const v1::Profile stored = Onboarded(kUser, "ada");
  now_ += absl::Seconds(1);
  v1::UpdateProfileRequest request = Update();
  request.mutable_profile()->set_nickname("ada");
  request.mutable_profile()->set_grade_year("");
  for (const auto& same : {Update(), request}) {
    const auto updated = store_.Update(same);
    ASSERT_TRUE(updated.ok()) << updated.status();
    EXPECT_TRUE(MessageDifferencer::Equals(updated->profile(), stored));
  }
}

TEST_P(EditTest, StartsOnboardingOverWithTheAnswersOfBefore) {
  Onboarded(kUser, "ada");
  v1::UpdateProfileRequest reset = Update();
  reset.set_reset_onboarding(true);
  const auto updated = store_.Update(reset);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_FALSE(updated->profile().onboarding_completed());
  EXPECT_EQ(updated->profile().nickname(), "ada");
  EXPECT_EQ(updated->profile().revision(), 3);

  // Who starts over twice has written once.
  EXPECT_EQ(store_.Update(reset)->profile().revision(), 3);
  const auto completed = store_.Complete(Answers(kUser, "countess"));
  ASSERT_TRUE(completed.ok()) << completed.status();
  EXPECT_FALSE(completed->already_completed());
  EXPECT_EQ(completed->profile().nickname(), "countess");
}

TEST_P(EditTest, UpdatesTheRevisionThatIsExpectedAndNoOther) {
  const v1::Profile stored = Onboarded(kUser, "ada");
  v1::UpdateProfileRequest request = Update();
  request.mutable_profile()->set_grade_year("12");
  for (const std::int64_t other : {1, 3, 0, -1}) {
    request.set_expected_revision(other);
    const absl::Status refused = store_.Update(request).status();
    EXPECT_TRUE(absl::IsAborted(refused)) << refused;
    EXPECT_EQ(base::ErrorReason(refused), "REVISION_MISMATCH");
    EXPECT_EQ(Metadata(refused, "revision"), "2");
  }
  EXPECT_TRUE(MessageDifferencer::Equals(store_.Get(kUser)->profile(), stored));
  request.set_expected_revision(2);
  EXPECT_EQ(store_.Update(request)->profile().grade_year(), "12");
  EXPECT_TRUE(absl::IsAborted(store_.Update(request).status()));
}

TEST_P(EditTest, MergesAttributesByTheirKeys) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  struct {
    const char* path;  // nullptr: no mask
    const char* given;
    const char* expected;
  } const kSteps[] = {
      {nullptr, R"({"streak":3,"deep":{"a":[1,null],"b":null}})",
       R"({"streak":3,"deep":{"a":[1,null],"b":null}})"},
      {nullptr, R"({"streak":4,"тема":"\"a'"})",
       R"({"streak":4,"deep":{"a":[1,null],"b":null},"тема":"\"a'"})"},
      {nullptr, R"({"deep":null,"none":null})",
       R"({"streak":4,"тема":"\"a'"})"},
      {nullptr, "{}", R"({"streak":4,"тема":"\"a'"})"},
      {"attributes", R"({"x":true,"y":null})", R"({"x":true})"},
      {"attributes", "{}", "{}"},
      {"*", R"({"z":0.1})", R"({"z":0.1})"},
  };
  std::int64_t revision = 1;
  google::protobuf::Struct before;
  for (const auto& step : kSteps) {
    SCOPED_TRACE(step.given);
    v1::UpdateProfileRequest request = Update();
    if (step.path != nullptr) {
      request.mutable_update_mask()->add_paths(step.path);
    }
    *request.mutable_profile()->mutable_attributes() = Object(step.given);
    const auto updated = store_.Update(request);
    ASSERT_TRUE(updated.ok()) << updated.status();
    const v1::Profile& profile = updated->profile();
    const google::protobuf::Struct expected = Object(step.expected);
    EXPECT_TRUE(MessageDifferencer::Equals(profile.attributes(), expected))
        << profile.DebugString();
    EXPECT_EQ(profile.has_attributes(), !expected.fields().empty());
    if (!MessageDifferencer::Equals(before, expected)) ++revision;
    EXPECT_EQ(profile.revision(), revision);
    before = expected;
    EXPECT_TRUE(
        MessageDifferencer::Equals(store_.Get(kUser)->profile(), profile));
  }
  EXPECT_TRUE(MessageDifferencer::Equals(
      store_.Upsert(Contact())->profile().attributes(), before));
}

TEST_P(EditTest, RefusesMoreAttributesThanFit) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  const auto add = [&](const std::string& key, std::size_t size) {
    v1::UpdateProfileRequest request = Update();
    (*request.mutable_profile()->mutable_attributes()->mutable_fields())[key]
        .set_string_value(std::string(size, 'x'));
    return store_.Update(request).status();
  };
  ASSERT_TRUE(add("a", 8000).ok());
  ASSERT_TRUE(add("b", 8000).ok());
  const absl::Status too_large = add("c", 8000);
  EXPECT_TRUE(absl::IsFailedPrecondition(too_large)) << too_large;
  EXPECT_EQ(base::ErrorReason(too_large), "ATTRIBUTES_TOO_LARGE");
  EXPECT_EQ(store_.Get(kUser)->profile().attributes().fields().size(), 2u);
  // Nor are they in the answer to a contact, which is to be small.
  auto answer = store_.Upsert(Contact());
  EXPECT_FALSE(answer->profile().has_attributes());
  EXPECT_TRUE(answer->attributes_omitted());

  ASSERT_TRUE(add("b", 0).ok());
  ASSERT_TRUE(add("a", 500).ok());
  answer = store_.Upsert(Contact());
  EXPECT_TRUE(answer->profile().has_attributes());
  EXPECT_FALSE(answer->attributes_omitted());
  for (int i = 2; i < 64; ++i) ASSERT_TRUE(add(absl::StrCat(i), 0).ok()) << i;
  EXPECT_EQ(base::ErrorReason(add("64", 0)), "ATTRIBUTES_TOO_LARGE");
}

TEST_P(EditTest, RefusesToUpdateANicknameThatAnotherUserHas) {
  Onboarded(1, "ada");
  Onboarded(2, "grace");
  v1::UpdateProfileRequest request = Update(2);
  request.mutable_profile()->set_nickname("ada");
  const absl::Status refused = store_.Update(request).status();
  EXPECT_EQ(base::ErrorReason(refused), "NICKNAME_TAKEN");
  EXPECT_EQ(Metadata(refused, "field"), "profile.nickname");
  EXPECT_EQ(store_.Get(2)->profile().nickname(), "grace");

  // One that was given up is free.
  v1::UpdateProfileRequest cleared = Update(1);
  cleared.mutable_profile()->set_nickname("");
  ASSERT_TRUE(store_.Update(cleared).ok());
  EXPECT_TRUE(store_.Update(request).ok());
}

TEST_P(EditTest, DeletesAUserWhoIsAStrangerThen) {
  Onboarded(kUser, "ada");
  Onboarded(kUser + 1, "grace");
  ASSERT_TRUE(store_.Delete(Delete()).ok());
  EXPECT_TRUE(absl::IsNotFound(store_.Get(kUser).status()));
  EXPECT_TRUE(absl::IsNotFound(store_.Update(Update()).status()));
  EXPECT_TRUE(absl::IsNotFound(store_.Complete(Answers(kUser, "x")).status()));
  EXPECT_EQ(store_.Get(kUser + 1)->profile().nickname(), "grace");

  const auto anew = store_.Upsert(Contact());
  ASSERT_TRUE(anew.ok()) << anew.status();
  EXPECT_TRUE(anew->created());
  EXPECT_EQ(anew->profile().revision(), 1);
  EXPECT_FALSE(anew->profile().has_real_name());
  EXPECT_TRUE(store_.Complete(Answers(kUser, "ada")).ok());
}

TEST_P(EditTest, SaysWhomItCantDelete) {
  const absl::Status unknown = store_.Delete(Delete()).status();
  EXPECT_EQ(base::ErrorReason(unknown), "USER_NOT_FOUND");
  v1::DeleteUserRequest request = Delete();
  request.set_allow_missing(true);
  EXPECT_TRUE(store_.Delete(request).ok());

  Onboarded(kUser, "ada");
  request.set_expected_revision(1);
  const absl::Status refused = store_.Delete(request).status();
  EXPECT_TRUE(absl::IsAborted(refused)) << refused;
  EXPECT_EQ(Metadata(refused, "revision"), "2");
  EXPECT_TRUE(store_.Get(kUser).ok());
  request.set_expected_revision(2);
  EXPECT_TRUE(store_.Delete(request).ok());
  EXPECT_TRUE(absl::IsNotFound(store_.Get(kUser).status()));
}

INSTANTIATE_TEST_SUITE_P(Stores, EditTest, kImplementations, NameOf);

}  // namespace
}  // namespace userprofile::store
