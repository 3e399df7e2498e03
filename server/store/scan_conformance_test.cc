// What every ProfileStore does with a part of the table.

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/conformance.h"

namespace userprofile::store {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

class ScanTest : public ProfileStoreTest {
 protected:
  absl::Status Look(ScanCall call) {
    std::promise<absl::Status> done;
    impl_->Scan(call, {}, [&](absl::Status status) {
      done.set_value(std::move(status));
    });
    return done.get_future().get();
  }

  // Who is found in a part of the table; `result_` says how far it goes.
  std::vector<std::int64_t> Find(
      const v1::ProfileFilter& filter, std::int64_t after = 0,
      int most_found = 100,
      std::int64_t most_scanned = ScanCall::kMostScanned) {
    google::protobuf::RepeatedPtrField<v1::Profile> profiles;
    ScanCall call = {filter,     after,     most_scanned,
                     most_found, &profiles, &result_};
    const absl::Status status = Look(call);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<std::int64_t> users;
    for (const v1::Profile& profile : profiles) {
      users.push_back(profile.user_id());
    }
    EXPECT_EQ(result_.count, static_cast<std::int64_t>(users.size()));
    return users;
  }

  std::int64_t CountThose(const v1::ProfileFilter& filter,
                          std::int64_t after = 0,
                          std::int64_t most_scanned = ScanCall::kMostScanned) {
    ScanCall call = {filter, after, most_scanned, 0, nullptr, &result_};
    const absl::Status status = Look(call);
    EXPECT_TRUE(status.ok()) << status;
    return result_.count;
  }

  v1::Profile Store(std::int64_t user, const std::string& language = "") {
    now_ += absl::Seconds(1);
    v1::UpsertUserRequest contact = Contact(user);
    contact.mutable_identity()->set_language_code(language);
    const auto response = store_.Upsert(contact);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->profile() : v1::Profile();
  }

  static google::protobuf::Struct Object(const std::string& json) {
    google::protobuf::Struct object;
    EXPECT_TRUE(
        google::protobuf::util::JsonStringToMessage(json, &object).ok());
    return object;
  }

  void SetAttributes(std::int64_t user, const std::string& json) {
    v1::UpdateProfileRequest request;
    request.mutable_profile()->set_user_id(user);
    *request.mutable_profile()->mutable_attributes() = Object(json);
    const auto updated = store_.Update(request);
    EXPECT_TRUE(updated.ok()) << updated.status();
  }

  ScanCall::Result result_;
};

TEST_P(ScanTest, FindsUsersInTheOrderOfTheirIdsAsTheyAreStored) {
  for (const std::int64_t user : {30, 10, 20}) Store(user);
  const v1::Profile stored = Store((std::int64_t{1} << 52) - 1);
  EXPECT_THAT(Find({}), ElementsAre(10, 20, 30, stored.user_id()));
  EXPECT_EQ(result_.reached, absl::nullopt);

  google::protobuf::RepeatedPtrField<v1::Profile> profiles;
  const v1::ProfileFilter none;
  ScanCall call = {none, 30, 100, 100, &profiles, &result_};
  ASSERT_TRUE(Look(call).ok());
  ASSERT_EQ(profiles.size(), 1);
  EXPECT_TRUE(MessageDifferencer::Equals(profiles[0], stored))
      << profiles[0].DebugString();
}

TEST_P(ScanTest, GoesOnAfterAUserWhoNeedNotBeThere) {
  for (const std::int64_t user : {10, 20, 30, 40}) Store(user);
  EXPECT_THAT(Find({}, 0, 2), ElementsAre(10, 20));
  EXPECT_THAT(result_.reached, Optional(20));
  EXPECT_THAT(Find({}, 20, 2), ElementsAre(30, 40));
  EXPECT_THAT(result_.reached, Optional(40));  // as far as it looked
  EXPECT_THAT(Find({}, 40, 2), IsEmpty());
  EXPECT_EQ(result_.reached, absl::nullopt);
  EXPECT_THAT(Find({}, 25, 2), ElementsAre(30, 40));
}

TEST_P(ScanTest, LooksAtSoManyAndNoMore) {
  for (std::int64_t user = 1; user <= 10; ++user) {
    Store(user, user == 7 ? "fa" : "en");
  }
  v1::ProfileFilter filter;
  filter.set_language_code("fa");
  EXPECT_THAT(Find(filter, 0, 100, 5), IsEmpty());
  EXPECT_THAT(result_.reached, Optional(5));
  EXPECT_THAT(Find(filter, 5, 100, 5), ElementsAre(7));
  EXPECT_THAT(result_.reached, Optional(10));
  EXPECT_THAT(Find(filter, 10, 100, 5), IsEmpty());
  EXPECT_EQ(result_.reached, absl::nullopt);
  EXPECT_THAT(Find(filter, 0, 1, 10), ElementsAre(7));
  EXPECT_THAT(result_.reached, Optional(7));

  EXPECT_EQ(CountThose(filter, 0, 7), 1);
  EXPECT_THAT(result_.reached, Optional(7));
  EXPECT_EQ(CountThose(filter, 7), 0);
  EXPECT_EQ(result_.reached, absl::nullopt);
  EXPECT_EQ(CountThose({}, 0, 4), 4);
  EXPECT_THAT(result_.reached, Optional(4));
  EXPECT_EQ(CountThose({}), 10);
}

TEST_P(ScanTest, FindsAsManyAsHaveSoManyBytes) {
  for (const std::int64_t user : {1, 2, 3}) Store(user);
  const std::size_t one = store_.Get(1)->ByteSizeLong();
  const v1::ProfileFilter none;
  google::protobuf::RepeatedPtrField<v1::Profile> profiles;
  ScanCall call = {none, 0, 100, 100, &profiles, &result_};
  call.most_bytes = 2 * one + one / 2;
  ASSERT_TRUE(Look(call).ok());
  ASSERT_EQ(profiles.size(), 2);
  EXPECT_EQ(result_.count, 2);
  EXPECT_TRUE(result_.is_full);
  EXPECT_THAT(result_.reached, Optional(2));
  EXPECT_GE(result_.bytes, profiles[0].ByteSizeLong() * 2);
  EXPECT_LE(result_.bytes, call.most_bytes);

  // Where there is room for none, the first one is there all the same.
  call.most_bytes = 1;
  ASSERT_TRUE(Look(call).ok());
  EXPECT_EQ(profiles.size(), 2);
  EXPECT_EQ(result_.count, 0);
  EXPECT_THAT(result_.reached, Optional(0));
  profiles.Clear();
  ASSERT_TRUE(Look(call).ok());
  ASSERT_EQ(profiles.size(), 1);
  EXPECT_THAT(result_.reached, Optional(1));
}

TEST_P(ScanTest, FindsTheFieldsThatAreWanted) {
  Store(1, "fa");
  Store(2, "fa");
  google::protobuf::FieldMask mask;
  mask.add_paths("language_code");
  v1::Profile expected;
  expected.set_language_code("fa");
  const v1::ProfileFilter none;
  google::protobuf::RepeatedPtrField<v1::Profile> profiles;
  ScanCall call = {none, 0, 100, 1, &profiles, &result_, &mask};
  ASSERT_TRUE(Look(call).ok());
  ASSERT_EQ(profiles.size(), 1);
  EXPECT_EQ(profiles[0].DebugString(), expected.DebugString());
  EXPECT_THAT(result_.reached, Optional(1));
}

TEST_P(ScanTest, ALanguageHasItsSubtags) {
  int user = 0;
  for (const char* language : {"pt", "pt-BR", "PT-pt", "ptx", "p", "en", ""}) {
    Store(++user, language);
  }
  v1::ProfileFilter filter;
  filter.set_language_code("pt");
  EXPECT_THAT(Find(filter), ElementsAre(1, 2, 3));
  filter.set_language_code("Pt-Br");
  EXPECT_THAT(Find(filter), ElementsAre(2));
}

TEST_P(ScanTest, EveryFieldOfTheFilterTellsUsersApart) {
  // Users 1 and 3 are all that is asked for of user 1; 2 is nothing of it.
  ASSERT_TRUE(store_.Upsert(Contact(2)).ok());
  for (const std::int64_t user : {1, 3}) {
    now_ = kNow + absl::Hours(user);
    v1::UpsertUserRequest contact = Contact(user);
    contact.mutable_identity()->set_language_code("fa");
    contact.set_is_active(false);
    SetTimestamp(now_.load() - absl::Minutes(1), contact.mutable_occurred_at());
    ASSERT_TRUE(store_.Upsert(contact).ok());
    v1::CompleteOnboardingRequest answers =
        Answers(user, absl::StrCat("ada", user));
    answers.mutable_answers()->set_study_track("maths");
    answers.mutable_answers()->set_grade_band("high");
    answers.mutable_answers()->set_grade_year("3%_");
    ASSERT_TRUE(store_.Complete(answers).ok());
    SetAttributes(user, R"({"streak": 7, "city": "Shiraz"})");
  }
  v1::ProfileFilter all;
  all.set_onboarding_completed(true);
  all.set_is_active(false);
  all.set_study_track("maths");
  all.set_grade_band("high");
  all.set_grade_year("3%_");
  all.set_language_code("fa");
  all.set_nickname_prefix("ada");
  *all.mutable_attributes() = Object(R"({"streak": 7.0})");
  for (v1::TimeRange* range :
       {all.mutable_created_at(), all.mutable_last_seen_at()}) {
    SetTimestamp(kNow + absl::Hours(1), range->mutable_from());
    SetTimestamp(kNow + absl::Hours(3) + absl::Microseconds(1),
                 range->mutable_before());
  }
  SetTimestamp(kNow + absl::Minutes(59),
               all.mutable_last_activity()->mutable_from());
  SetTimestamp(kNow + absl::Minutes(179) + absl::Microseconds(1),
               all.mutable_last_activity()->mutable_before());
  EXPECT_THAT(Find(all), ElementsAre(1, 3));

  const auto* type = v1::ProfileFilter::descriptor();
  const auto& reflection = *v1::ProfileFilter::GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    SCOPED_TRACE(type->field(i)->name());
    v1::ProfileFilter one = all;
    for (int other = 0; other < type->field_count(); ++other) {
      if (other != i) reflection.ClearField(&one, type->field(other));
    }
    EXPECT_THAT(Find(one), ElementsAre(1, 3));
    EXPECT_EQ(CountThose(one), 2);
  }

  // Both ends of ranges, the last of which is not among them.
  for (const char* name : {"created_at", "last_seen_at", "last_activity"}) {
    SCOPED_TRACE(name);
    v1::ProfileFilter one;
    auto& range = *static_cast<v1::TimeRange*>(
        reflection.MutableMessage(&one, type->FindFieldByName(name)));
    const absl::Time third =
        kNow + absl::Hours(3) -
        (name == std::string("last_activity") ? absl::Minutes(1)
                                              : absl::ZeroDuration());
    SetTimestamp(third, range.mutable_from());
    EXPECT_THAT(Find(one), ElementsAre(3));
    SetTimestamp(third + absl::Microseconds(1), range.mutable_from());
    EXPECT_THAT(Find(one), IsEmpty());
    range.clear_from();
    SetTimestamp(third, range.mutable_before());
    EXPECT_EQ(Find(one).back(), name == std::string("last_activity") ? 1 : 2);
  }
}

TEST_P(ScanTest, AttributesAreComparedWhole) {
  Store(1);
  Store(2);
  SetAttributes(2, R"({"n": 1, "flag": false, "name": "a", "nothing": "",
                       "list": [1, 2], "of": {"a": 1, "b": null}})");
  Store(3);
  SetAttributes(3, R"({"n": "1", "flag": true, "name": "A", "list": [2, 1],
                       "of": {"a": 1}})");
  v1::ProfileFilter filter;
  for (const auto& [json, found] :
       std::vector<std::pair<std::string, std::vector<std::int64_t>>>{
           {R"({"n": 1})", {2}},
           {R"({"n": "1"})", {3}},
           {R"({"n": 2})", {}},
           {R"({"flag": false})", {2}},
           {R"({"name": "a"})", {2}},
           {R"({"nothing": ""})", {2}},
           {R"({"nothing": null})", {1, 3}},
           {R"({"N": 1})", {}},
           {R"({"list": [1, 2]})", {2}},
           {R"({"list": [1]})", {}},
           {R"({"of": {"b": null, "a": 1}})", {2}},
           {R"({"of": {"a": 1}})", {3}},
           {R"({"n": 1, "name": "A"})", {}},
           {R"({"n": "1", "name": "A"})", {3}},
           {R"({"n": null, "name": null})", {1}},
           {R"({"it's": 1})", {}},
           {"{}", {1, 2, 3}}}) {
    *filter.mutable_attributes() = Object(json);
    EXPECT_EQ(Find(filter), found) << json;
    EXPECT_EQ(CountThose(filter), static_cast<std::int64_t>(found.size()));
  }
}

TEST_P(ScanTest, TextIsComparedAsItIs) {
  ASSERT_TRUE(store_.Upsert(Contact(1)).ok());
  ASSERT_TRUE(store_.Complete(Answers(1, "Ada%_'")).ok());
  v1::ProfileFilter filter;
  for (const auto& [prefix, passes] : {std::pair("Ada", true),
                                       {"Ada%_'", true},
                                       {"ada", false},
                                       {"%", false},
                                       {"Ada_", false},
                                       {"A%", false},
                                       {"Ada%_''", false},
                                       {"'; --", false}}) {
    filter.set_nickname_prefix(prefix);
    EXPECT_EQ(CountThose(filter), passes ? 1 : 0) << prefix;
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, ScanTest, kImplementations, NameOf);

}  // namespace
}  // namespace userprofile::store
