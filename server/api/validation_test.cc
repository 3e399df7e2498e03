#include "server/api/validation.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/strip.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "gtest/gtest.h"
#include "server/api/testing.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

v1::UpsertUserRequest Contact() {
  v1::UpsertUserRequest request;
  request.set_user_id(12345);
  request.mutable_identity()->set_first_name("Test");
  return request;
}

v1::CompleteOnboardingRequest Onboarding() {
  v1::CompleteOnboardingRequest request;
  request.set_user_id(12345);
  request.mutable_answers()->set_real_name("Real Name");
  request.mutable_answers()->set_nickname("nick");
  return request;
}

absl::Status Validate(google::protobuf::Message* request) {
  return Validator(*request->GetDescriptor()).Validate(request);
}

std::string Repeat(const char* text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST(ValidationTest, AcceptsEveryUserIdThatTelegramCanGive) {
  for (const std::int64_t id : {std::int64_t{1}, (std::int64_t{1} << 52) - 1}) {
    v1::GetProfileRequest request;
    request.set_user_id(id);
    EXPECT_TRUE(Validate(&request).ok()) << id;
  }
}

TEST(ValidationTest, RefusesEveryOtherUserId) {
  for (const std::int64_t id :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 52,
        std::int64_t{1} << 53, std::numeric_limits<std::int64_t>::min(),
        std::numeric_limits<std::int64_t>::max()}) {
    v1::GetProfileRequest get;
    get.set_user_id(id);
    EXPECT_THAT(FieldsOf(Validate(&get)), ElementsAre("user_id")) << id;
    v1::UpsertUserRequest upsert = Contact();
    upsert.set_user_id(id);
    EXPECT_THAT(FieldsOf(Validate(&upsert)), ElementsAre("user_id")) << id;
    v1::CompleteOnboardingRequest complete = Onboarding();
    complete.set_user_id(id);
    EXPECT_THAT(FieldsOf(Validate(&complete)), ElementsAre("user_id")) << id;
  }
}

struct BadContact {
  const char* what;
  std::function<void(v1::UpsertUserRequest&)> spoil;
  const char* field;
};

TEST(ValidationTest, RefusesBadContacts) {
  using R = v1::UpsertUserRequest;
  const BadContact kTable[] = {
      {"a NUL",
       [](R& r) {
         r.mutable_identity()->set_first_name(std::string("a\0b", 3));
       },
       "identity.first_name"},
      {"a C0 control",
       [](R& r) { r.mutable_identity()->set_last_name("a\nb"); },
       "identity.last_name"},
      {"DEL", [](R& r) { r.mutable_identity()->set_username("a\x7f"); },
       "identity.username"},
      {"a C1 control",
       [](R& r) { r.mutable_identity()->set_first_name("\xc2\x85"); },
       "identity.first_name"},
      {"invalid UTF-8",
       [](R& r) { r.mutable_identity()->set_first_name("\xff"); },
       "identity.first_name"},
      {"10,000 characters",
       [](R& r) { r.mutable_identity()->set_first_name(Repeat("a", 10000)); },
       "identity.first_name"},
      {"257 code points",
       [](R& r) {
         r.mutable_identity()->set_last_name(Repeat("\xd8\xb9", 257));
       },
       "identity.last_name"},
      {"a username of 65",
       [](R& r) { r.mutable_identity()->set_username(Repeat("a", 65)); },
       "identity.username"},
      {"no language tag",
       [](R& r) { r.mutable_identity()->set_language_code("en_US"); },
       "identity.language_code"},
      {"a language tag of 36",
       [](R& r) {
         r.mutable_identity()->set_language_code("en-x" +
                                                 Repeat("-abcdefg", 4));
       },
       "identity.language_code"},
      {"a time before the year 1",
       [](R& r) { r.mutable_occurred_at()->set_seconds(-62135596801); },
       "occurred_at"},
      {"a time after the year 9999",
       [](R& r) { r.mutable_occurred_at()->set_seconds(253402300800); },
       "occurred_at"},
      {"negative nanos", [](R& r) { r.mutable_occurred_at()->set_nanos(-1); },
       "occurred_at"},
      {"a second of nanos",
       [](R& r) { r.mutable_occurred_at()->set_nanos(1000000000); },
       "occurred_at"},
  };
  for (const BadContact& bad : kTable) {
    v1::UpsertUserRequest request = Contact();
    bad.spoil(request);
    EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre(bad.field))
        << bad.what;
  }
}

TEST(ValidationTest, AcceptsWhatJustFits) {
  v1::UpsertUserRequest request = Contact();
  v1::Identity& identity = *request.mutable_identity();
  identity.set_first_name(Repeat("\xf0\x9f\x98\x80", 256));
  identity.set_last_name(Repeat("\xd8\xb9", 256));
  identity.set_username(Repeat("a", 64));
  identity.set_language_code("en-x" + Repeat("-abcdef", 4) + "-ab");
  request.mutable_occurred_at()->set_seconds(253402300799);
  request.mutable_occurred_at()->set_nanos(999999999);
  EXPECT_TRUE(Validate(&request).ok()) << Validate(&request);
}

TEST(ValidationTest, AnEmptyIdentityFieldIsFineAndStaysPresent) {
  v1::UpsertUserRequest request = Contact();
  v1::Identity& identity = *request.mutable_identity();
  identity.set_first_name("");
  identity.set_last_name("");
  identity.set_username("");
  identity.set_language_code("");
  EXPECT_TRUE(Validate(&request).ok());
  EXPECT_TRUE(request.identity().has_last_name());
  EXPECT_FALSE(request.has_occurred_at());
}

TEST(ValidationTest, AContactMayLackIdentity) {
  v1::UpsertUserRequest request;
  request.set_user_id(1);
  EXPECT_TRUE(Validate(&request).ok());
  EXPECT_FALSE(request.has_identity());
}

TEST(ValidationTest, OnboardingNeedsAnswers) {
  v1::CompleteOnboardingRequest request;
  request.set_user_id(1);
  EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("answers"));
  request.mutable_answers();
  EXPECT_THAT(FieldsOf(Validate(&request)),
              ElementsAre("answers.real_name", "answers.nickname"));
}

TEST(ValidationTest, NamesThatCannotBeSeenAreNoNames) {
  for (const char* name : {"", "  ", "\xc2\xa0", "\xe2\x80\x8c"}) {
    v1::CompleteOnboardingRequest request = Onboarding();
    request.mutable_answers()->set_real_name(name);
    request.mutable_answers()->set_nickname(name);
    EXPECT_THAT(FieldsOf(Validate(&request)),
                ElementsAre("answers.real_name", "answers.nickname"));
  }
}

TEST(ValidationTest, OptionalAnswersThatAreEmptyAreAbsent) {
  v1::CompleteOnboardingRequest request = Onboarding();
  v1::OnboardingAnswers& answers = *request.mutable_answers();
  answers.set_study_track("");
  answers.set_grade_band("");
  answers.set_grade_year("");
  answers.set_phone("");
  ASSERT_TRUE(Validate(&request).ok());
  EXPECT_FALSE(answers.has_study_track());
  EXPECT_FALSE(answers.has_grade_band());
  EXPECT_FALSE(answers.has_grade_year());
  EXPECT_FALSE(answers.has_phone());
}

TEST(ValidationTest, PhoneNumbersBecomeE164) {
  for (const char* phone : {"+98 912 345 6789", "+989123456789",
                            "+98 (912) 345-6789", "tel:+98-912-345-6789",
                            "\xef\xbc\x8b"
                            "98 912 345 6789"}) {
    v1::CompleteOnboardingRequest request = Onboarding();
    request.mutable_answers()->set_phone(phone);
    ASSERT_TRUE(Validate(&request).ok()) << phone;
    EXPECT_EQ(request.answers().phone(), "+989123456789") << phone;
  }
}

TEST(ValidationTest, RefusesWhatIsNoInternationalPhoneNumber) {
  const std::string phones[] = {
      " ",           "0912 345 6789",    "9123456789",
      "+98",         "+98 912",          "+98 912 345 67890123",
      "+999 123456", "call me",          "+98 912 345 6789 ext. 5",
      "+",           "+98 912\n3456789", Repeat("+98 912 345 6789", 20)};
  for (const std::string& phone : phones) {
    v1::CompleteOnboardingRequest request = Onboarding();
    request.mutable_answers()->set_phone(phone);
    EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("answers.phone"))
        << phone;
  }
}

TEST(ValidationTest, NamesEveryFieldAtFaultInTheOrderOfTheRequest) {
  v1::CompleteOnboardingRequest request;
  v1::OnboardingAnswers& answers = *request.mutable_answers();
  answers.set_nickname(Repeat("n", 65));
  answers.set_study_track(Repeat("s", 129));
  answers.set_grade_band(Repeat("g", 65));
  answers.set_grade_year("\xff");
  answers.set_phone("no phone");
  const absl::Status status = Validate(&request);
  EXPECT_THAT(FieldsOf(status),
              ElementsAre("user_id", "answers.real_name", "answers.nickname",
                          "answers.study_track", "answers.grade_band",
                          "answers.grade_year", "answers.phone"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(base::ErrorReason(status), "INVALID_FIELDS");
}

TEST(ValidationTest, OfAOneofOneFieldMustBePresent) {
  v1::LookupProfileRequest request;
  EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("key"));
  request.set_nickname("");
  EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("nickname"));
  request.set_nickname("sara");
  EXPECT_TRUE(Validate(&request).ok());
  request.set_username("sa\x7fra");
  EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("username"));
  request.set_username("sara");
  EXPECT_TRUE(Validate(&request).ok());
}

TEST(ValidationTest, AUsernameLosesTheAtThatPeopleWriteBeforeIt) {
  for (const auto& [given, kept] :
       {std::pair("@sara", "sara"), {"sara", "sara"}, {"@", "@"}}) {
    v1::LookupProfileRequest request;
    request.set_username(given);
    ASSERT_TRUE(Validate(&request).ok()) << given;
    EXPECT_EQ(request.username(), kept);
    v1::UpsertUserRequest contact = Contact();
    contact.mutable_identity()->set_username(given);
    ASSERT_TRUE(Validate(&contact).ok()) << given;
    EXPECT_EQ(contact.identity().username(), kept);
  }
  v1::LookupProfileRequest longest;
  longest.set_username("@" + Repeat("a", 64));
  EXPECT_TRUE(Validate(&longest).ok());
}

TEST(ValidationTest, ASessionHasABotAndAKey) {
  v1::PutSessionRequest put;
  EXPECT_THAT(FieldsOf(Validate(&put)), ElementsAre("session"));
  v1::Session& session = *put.mutable_session();
  EXPECT_THAT(FieldsOf(Validate(&put)),
              ElementsAre("session.bot", "session.key"));
  session.set_bot(Repeat("\xd8\xb9", 64));
  session.set_key(Repeat("\xf0\x9f\x98\x80", 256));
  EXPECT_TRUE(Validate(&put).ok()) << Validate(&put);
  EXPECT_EQ(session.key(), Repeat("\xf0\x9f\x98\x80", 256));
  session.set_bot(Repeat("b", 65));
  session.set_key(Repeat("k", 257));
  EXPECT_THAT(FieldsOf(Validate(&put)),
              ElementsAre("session.bot", "session.key"));
  session.set_bot("\xff");
  session.set_key(std::string("a\0", 2));
  EXPECT_THAT(FieldsOf(Validate(&put)),
              ElementsAre("session.bot", "session.key"));

  v1::GetSessionRequest get;
  EXPECT_THAT(FieldsOf(Validate(&get)), ElementsAre("bot", "key"));
  v1::DeleteSessionRequest forget;
  EXPECT_THAT(FieldsOf(Validate(&forget)), ElementsAre("bot", "key"));
}

TEST(ValidationTest, TheValueOfASessionIsAnyBytesUpToItsMost) {
  v1::PutSessionRequest request;
  v1::Session& session = *request.mutable_session();
  session.set_bot("shop");
  session.set_key("chat:7");
  for (const std::string& value :
       {std::string("\0\xff\n", 3), std::string(65536, '\0')}) {
    session.set_value(value);
    EXPECT_TRUE(Validate(&request).ok()) << Validate(&request);
    EXPECT_EQ(session.value(), value);
  }
  session.set_value(std::string(65537, 'a'));
  const absl::Status status = Validate(&request);
  EXPECT_THAT(FieldsOf(status), ElementsAre("session.value"));
  EXPECT_EQ(status.message(), "session.value must have at most 65536 bytes");
}

TEST(ValidationTest, ASessionMayBeNobodysButNotOfAnImpossibleUser) {
  v1::PutSessionRequest request;
  v1::Session& session = *request.mutable_session();
  session.set_bot("shop");
  session.set_key("chat:7");
  session.set_revision(-1);  // means nothing
  session.mutable_expires_at()->set_seconds(0);
  EXPECT_TRUE(Validate(&request).ok()) << Validate(&request);
  EXPECT_FALSE(session.has_user_id());
  session.set_user_id((std::int64_t{1} << 52) - 1);
  EXPECT_TRUE(Validate(&request).ok()) << Validate(&request);
  for (const std::int64_t id : {std::int64_t{0}, std::int64_t{1} << 52}) {
    session.set_user_id(id);
    EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("session.user_id"));
  }
  session.clear_user_id();
  session.mutable_expires_at()->set_seconds(253402300800);
  EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("session.expires_at"));
}

TEST(ValidationTest, AListHoldsOneToItsMost) {
  v1::BatchGetProfilesRequest request;
  EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("user_ids"));
  for (int i = 1; i <= 1000; ++i) request.add_user_ids(i % 7 + 1);
  EXPECT_TRUE(Validate(&request).ok()) << Validate(&request);
  request.add_user_ids(0);
  const absl::Status status = Validate(&request);
  EXPECT_THAT(FieldsOf(status), ElementsAre("user_ids"));
  EXPECT_EQ(status.message(), "user_ids must hold at most 1000 items");
}

TEST(ValidationTest, NamesTheFirstElementsAtFault) {
  v1::BatchGetProfilesRequest request;
  for (const std::int64_t id : {1, 0, 2, -1}) request.add_user_ids(id);
  EXPECT_THAT(FieldsOf(Validate(&request)),
              ElementsAre("user_ids[1]", "user_ids[3]"));
  for (int i = 0; i < 900; ++i) request.add_user_ids(0);
  // What a client takes as headers is 8 KiB.
  EXPECT_THAT(FieldsOf(Validate(&request)), SizeIs(16));
}

TEST(ValidationTest, APageHasASizeAndFieldsOfProfiles) {
  v1::ListProfilesRequest request;
  EXPECT_TRUE(Validate(&request).ok());
  request.set_page_size(2'000'000'000);
  for (const char* path : {"user_id", "phone", "user_id"}) {
    request.mutable_read_mask()->add_paths(path);
  }
  EXPECT_TRUE(Validate(&request).ok()) << Validate(&request);
  request.set_page_size(-1);
  request.set_page_token(Repeat("a", 1025));
  for (const char* path : {"", "*", "profile.user_id", "User_id", "userId"}) {
    request.mutable_read_mask()->add_paths(path);
  }
  const absl::Status status = Validate(&request);
  EXPECT_THAT(FieldsOf(status),
              ElementsAre("page_size", "page_token", "read_mask.paths[3]",
                          "read_mask.paths[4]", "read_mask.paths[5]",
                          "read_mask.paths[6]", "read_mask.paths[7]"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("User_id")));
  for (int i = 0; i < 1000; ++i) request.mutable_read_mask()->add_paths("x");
  EXPECT_THAT(FieldsOf(Validate(&request)),
              ElementsAre("page_size", "page_token", "read_mask"));
}

TEST(ValidationTest, AFilterHasTheLimitsOfWhatItIsAbout) {
  v1::CountProfilesRequest request;
  v1::ProfileFilter& filter = *request.mutable_filter();
  filter.set_language_code("pt-BR");
  filter.set_nickname_prefix("");
  filter.set_study_track("");
  EXPECT_TRUE(Validate(&request).ok()) << Validate(&request);
  EXPECT_FALSE(filter.has_nickname_prefix());  // asks for nothing
  EXPECT_FALSE(filter.has_study_track());
  filter.set_language_code("no language");
  filter.set_nickname_prefix(Repeat("a", 65));
  filter.set_grade_band("a\x01");
  filter.mutable_created_at()->mutable_from()->set_nanos(-1);
  filter.mutable_last_activity()->mutable_before()->set_seconds(1LL << 60);
  EXPECT_THAT(FieldsOf(Validate(&request)),
              ElementsAre("filter.grade_band", "filter.language_code",
                          "filter.nickname_prefix", "filter.created_at.from",
                          "filter.last_activity.before"));
}

// Whoever may not see a phone could find it out by asking for it.
TEST(ValidationTest, NobodyIsFilteredByWhatIsPersonal) {
  const auto* filter = v1::ProfileFilter::descriptor();
  for (int i = 0; i < filter->field_count(); ++i) {
    const std::string name(
        absl::StripSuffix(filter->field(i)->name(), "_prefix"));
    const auto* field = v1::Profile::descriptor()->FindFieldByName(name);
    ASSERT_NE(field, nullptr) << name;
    EXPECT_FALSE(field->options().GetExtension(v1::personal)) << name;
  }
}

// Of messages, too, which no request holds yet.
TEST(ValidationTest, NamesWhatIsWrongWithinAnElement) {
  google::protobuf::DescriptorPool pool(
      google::protobuf::DescriptorPool::generated_pool());
  google::protobuf::FileDescriptorProto file;
  file.set_name("test.proto");
  file.set_package("test");
  file.add_dependency("userprofile/v1/user_profile_service.proto");
  auto& field = *file.add_message_type()->add_field();
  file.mutable_message_type(0)->set_name("Contacts");
  field.set_name("contacts");
  field.set_number(1);
  field.set_label(google::protobuf::FieldDescriptorProto::LABEL_REPEATED);
  field.set_type_name(".userprofile.v1.UpsertUserRequest");
  field.mutable_options()->MutableExtension(v1::limits)->set_max_items(2);
  google::protobuf::DynamicMessageFactory factory(&pool);
  factory.SetDelegateToGeneratedFactory(true);
  const auto* type = pool.BuildFile(file)->message_type(0);
  const std::unique_ptr<google::protobuf::Message> request(
      factory.GetPrototype(type)->New());
  const auto add = [&](const v1::UpsertUserRequest& contact) {
    request->GetReflection()
        ->AddMessage(request.get(), type->field(0), &factory)
        ->CopyFrom(contact);
  };
  add(Contact());
  v1::UpsertUserRequest wrong;
  wrong.mutable_identity()->set_username("a\x7f");
  add(wrong);
  EXPECT_THAT(
      FieldsOf(Validate(request.get())),
      ElementsAre("contacts[1].user_id", "contacts[1].identity.username"));
}

// Each text in a request, be it in a message within it, has limits; and so has
// each list, of what lists are checked for. What of a profile a request can
// hold has those of answers. Masks and objects are checked by themselves.
void ExpectLimits(const google::protobuf::Descriptor& type) {
  if (&type == v1::Profile::descriptor() ||
      type.file()->package() != v1::Profile::descriptor()->file()->package()) {
    return;
  }
  for (int i = 0; i < type.field_count(); ++i) {
    const auto& field = *type.field(i);
    if (field.is_repeated()) {
      EXPECT_GT(field.options().GetExtension(v1::limits).max_items(), 0)
          << field.full_name();
      EXPECT_NE(field.type(), google::protobuf::FieldDescriptor::TYPE_STRING)
          << field.full_name();
    }
    if (field.type() == google::protobuf::FieldDescriptor::TYPE_STRING) {
      EXPECT_GT(field.options().GetExtension(v1::limits).max_code_points(), 0)
          << field.full_name();
    } else if (field.message_type() != nullptr) {
      ExpectLimits(*field.message_type());
    }
  }
}

TEST(ValidationTest, EveryTextAndListInARequestHasLimits) {
  const auto& service = *v1::Profile::descriptor()->file()->service(0);
  for (int i = 0; i < service.method_count(); ++i) {
    ExpectLimits(*service.method(i)->input_type());
  }
}

TEST(ValidationTest, NeverRepeatsAValue) {
  v1::CompleteOnboardingRequest request = Onboarding();
  request.mutable_answers()->set_real_name("Secret\x01");
  request.mutable_answers()->set_phone("0912 000 1111");
  EXPECT_THAT(Validate(&request).ToString(), Not(HasSubstr("Secret")));
  EXPECT_THAT(Validate(&request).ToString(), Not(HasSubstr("0912")));
}

}  // namespace

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

TEST(PersonalDataTest, IsWithheldFromEachElementOfAList) {
  v1::BatchGetProfilesResponse response;
  for (const std::int64_t user : {1, 2}) {
    v1::Profile& profile = *response.add_profiles();
    profile.set_user_id(user);
    profile.set_phone("+989123456789");
  }
  PersonalData(*response.GetDescriptor()).Withhold(&response);
  ASSERT_EQ(response.profiles_size(), 2);
  for (const v1::Profile& profile : response.profiles()) {
    EXPECT_NE(profile.user_id(), 0);
    EXPECT_FALSE(profile.has_phone());
  }
}

TEST(ValidationTest, AnUpdateHasTheLimitsOfAnswersButMayClearThem) {
  v1::UpdateProfileRequest request;
  EXPECT_THAT(FieldsOf(Validate(&request)), ElementsAre("profile"));
  v1::Profile& profile = *request.mutable_profile();
  profile.set_user_id(1);
  profile.set_real_name("");
  profile.set_nickname("");
  profile.set_phone("+98 912 345 6789");
  ASSERT_TRUE(Validate(&request).ok());
  EXPECT_TRUE(profile.has_real_name());
  EXPECT_EQ(profile.phone(), "+989123456789");

  profile.set_user_id(0);
  profile.set_real_name("  ");
  profile.set_nickname(Repeat("x", 65));
  profile.set_study_track("\n");
  profile.set_phone("12");
  EXPECT_THAT(
      FieldsOf(Validate(&request)),
      ElementsAre("profile.user_id", "profile.real_name", "profile.nickname",
                  "profile.study_track", "profile.phone"));
}

}  // namespace

}  // namespace userprofile::api
