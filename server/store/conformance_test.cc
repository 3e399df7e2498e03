// What every ProfileStore does with contacts and reads.

#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/error_info.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/store/errors.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/conformance.h"

namespace userprofile::store {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Pair;

TEST_P(ProfileStoreTest, CreatesAUserOnTheFirstContactAndThenUpdatesIt) {
  auto first = store_.Upsert(Contact());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->created());
  EXPECT_EQ(first->profile().user_id(), kUser);
  EXPECT_EQ(first->profile().first_name(), "Test");
  EXPECT_EQ(first->profile().revision(), 1);

  v1::UpsertUserRequest update = Contact();
  update.mutable_identity()->set_first_name("Updated");
  auto second = store_.Upsert(update);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE(second->created());
  EXPECT_EQ(second->profile().first_name(), "Updated");
  EXPECT_EQ(second->profile().revision(), 2);
}

TEST_P(ProfileStoreTest, StartsANewUserWithDefaults) {
  v1::UpsertUserRequest request;
  request.set_user_id(kUser);
  const v1::Profile profile = store_.Upsert(request)->profile();
  EXPECT_FALSE(profile.has_first_name());
  EXPECT_FALSE(profile.has_last_name());
  EXPECT_FALSE(profile.has_username());
  EXPECT_FALSE(profile.has_language_code());
  EXPECT_FALSE(profile.onboarding_completed());
  EXPECT_FALSE(profile.has_nickname());
  EXPECT_TRUE(profile.is_active());
  EXPECT_EQ(FromTimestamp(profile.created_at()), kNow);
  EXPECT_EQ(FromTimestamp(profile.last_seen_at()), kNow);
  EXPECT_EQ(FromTimestamp(profile.updated_at()), kNow);
  EXPECT_FALSE(profile.has_last_activity());
}

TEST_P(ProfileStoreTest, ReturnsWhatWasStored) {
  const v1::Profile stored = store_.Upsert(Contact())->profile();
  const auto read = store_.Get(kUser);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(MessageDifferencer::Equals(read->profile(), stored))
      << read->DebugString();
}

TEST_P(ProfileStoreTest, ReadsThoseOfManyUsersWhoAreKnown) {
  for (const std::int64_t user : {1, 2, 3}) {
    ASSERT_TRUE(store_.Upsert(Contact(user)).ok());
  }
  std::map<std::int64_t, v1::Profile> found;
  const auto read = [&](bool all_must_exist) {
    found.clear();
    // Shared with the callback, which may still be in set_value.
    auto done = std::make_shared<std::promise<absl::Status>>();
    impl_->Read({{3, 4, 1, 5},
                 [&](std::int64_t user) { return &found[user]; },
                 all_must_exist},
                {}, [done](absl::Status status) { done->set_value(status); });
    return done->get_future().get();
  };
  // The first one that is missing is one too many.
  EXPECT_EQ(read(/*all_must_exist=*/true), UserNotFound(4));
  const absl::Status status = read(/*all_must_exist=*/false);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(found, ElementsAre(Key(1), Key(3)));
  for (const auto& [user, profile] : found) EXPECT_EQ(profile.user_id(), user);
}

// The ids of the profiles, and of those who are missing.
std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> IdsOf(
    const absl::StatusOr<v1::BatchGetProfilesResponse>& response) {
  if (!response.ok()) {
    ADD_FAILURE() << response.status();
    return {};
  }
  std::vector<std::int64_t> users;
  for (const auto& profile : response->profiles()) {
    users.push_back(profile.user_id());
  }
  const auto& missing = response->missing_user_ids();
  return {users, {missing.begin(), missing.end()}};
}

TEST_P(ProfileStoreTest, ReadsABatchInTheOrderInWhichItIsAskedFor) {
  std::map<std::int64_t, v1::Profile> stored;
  for (const std::int64_t user : {1, 2, 3}) {
    v1::UpsertUserRequest contact = Contact(user);
    contact.mutable_identity()->set_username("user" + std::to_string(user));
    stored[user] = store_.Upsert(contact)->profile();
  }
  const auto response = store_.GetMany({9, 3, 1, 8, 3, 2, 9, 3});
  EXPECT_THAT(IdsOf(response),
              Pair(ElementsAre(3, 1, 3, 2, 3), ElementsAre(9, 8, 9)));
  for (const v1::Profile& profile : response->profiles()) {
    EXPECT_TRUE(MessageDifferencer::Equals(profile, stored[profile.user_id()]))
        << profile.DebugString();
  }
}

TEST_P(ProfileStoreTest, ReadsABatchThatIsLargerThanAStatementOfManyCalls) {
  std::vector<v1::UpsertUserRequest> contacts;
  std::vector<std::int64_t> users;
  for (int user = 1000; user > 0; --user) {
    users.push_back(user);
    if (user % 3 != 0) contacts.push_back(Contact(user));
  }
  for (const auto& upserted : store_.UpsertAll(contacts)) {
    ASSERT_TRUE(upserted.ok()) << upserted.status();
  }
  std::vector<std::int64_t> known;
  std::vector<std::int64_t> unknown;
  for (const std::int64_t user : users) {
    (user % 3 != 0 ? known : unknown).push_back(user);
  }
  EXPECT_THAT(IdsOf(store_.GetMany(users)), Pair(known, unknown));
}

TEST_P(ProfileStoreTest, ReadsABatchOfNobody) {
  EXPECT_THAT(IdsOf(store_.GetMany({kUser})),
              Pair(IsEmpty(), ElementsAre(kUser)));
}

TEST_P(ProfileStoreTest, DoesNotKnowAUserWhoNeverCame) {
  const absl::Status status = store_.Get(kUser).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_EQ(base::ErrorReason(status), "USER_NOT_FOUND");
}

TEST_P(ProfileStoreTest, KeepsAbsentFieldsAndClearsEmptyOnes) {
  v1::UpsertUserRequest request = Contact();
  v1::Identity* identity = request.mutable_identity();
  identity->set_last_name("Lovelace");
  identity->set_username("ada");
  identity->set_language_code("en");
  ASSERT_TRUE(store_.Upsert(request).ok());

  v1::UpsertUserRequest next;
  next.set_user_id(kUser);
  next.mutable_identity()->set_last_name("");
  next.mutable_identity()->set_username("countess");
  const v1::Profile profile = store_.Upsert(next)->profile();
  EXPECT_EQ(profile.first_name(), "Test");
  EXPECT_FALSE(profile.has_last_name());
  EXPECT_EQ(profile.username(), "countess");
  EXPECT_EQ(profile.language_code(), "en");
}

TEST_P(ProfileStoreTest, StoresNothingForEmptyFieldsOfANewUser) {
  v1::UpsertUserRequest request = Contact();
  request.mutable_identity()->set_last_name("");
  const v1::Profile profile = store_.Upsert(request)->profile();
  EXPECT_FALSE(profile.has_last_name());
}

TEST_P(ProfileStoreTest, LetsAnOlderEventChangeNothingButTheContact) {
  v1::UpsertUserRequest newer = Contact();
  SetTimestamp(kNow - absl::Minutes(1), newer.mutable_occurred_at());
  const v1::Profile before = store_.Upsert(newer)->profile();

  now_ += absl::Seconds(5);
  v1::UpsertUserRequest older = Contact();
  older.mutable_identity()->set_first_name("Old");
  older.mutable_identity()->set_last_name("Old");
  older.set_is_active(false);
  SetTimestamp(kNow - absl::Minutes(2), older.mutable_occurred_at());
  const v1::Profile after = store_.Upsert(older)->profile();
  EXPECT_EQ(after.first_name(), "Test");
  EXPECT_FALSE(after.has_last_name());
  EXPECT_TRUE(after.is_active());
  EXPECT_EQ(FromTimestamp(after.last_activity()), kNow - absl::Minutes(1));
  EXPECT_EQ(FromTimestamp(after.last_seen_at()), kNow + absl::Seconds(5));
  EXPECT_EQ(FromTimestamp(after.updated_at()),
            FromTimestamp(before.updated_at()));
  EXPECT_EQ(after.revision(), 2);
}

TEST_P(ProfileStoreTest, AppliesAnEventOfTheSameTime) {
  v1::UpsertUserRequest request = Contact();
  SetTimestamp(kNow - absl::Minutes(1), request.mutable_occurred_at());
  ASSERT_TRUE(store_.Upsert(request).ok());
  request.mutable_identity()->set_first_name("Later");
  EXPECT_EQ(store_.Upsert(request)->profile().first_name(), "Later");
}

TEST_P(ProfileStoreTest, TakesTheTimeOfAnEventOfTheFutureForNone) {
  v1::UpsertUserRequest request = Contact();
  SetTimestamp(kNow + absl::Hours(24 * 365 * 70),
               request.mutable_occurred_at());
  EXPECT_FALSE(store_.Upsert(request)->profile().has_last_activity());
  SetTimestamp(kNow, request.mutable_occurred_at());
  request.set_is_active(false);
  const v1::Profile profile = store_.Upsert(request)->profile();
  EXPECT_EQ(FromTimestamp(profile.last_activity()), kNow);
  EXPECT_FALSE(profile.is_active());
}

// A backlog after an outage: all of it is older than the contact without time.
TEST_P(ProfileStoreTest, LetsAContactWithoutATimeMakeNoneThatHasOneLookOld) {
  const auto dated = [&](int minute) {
    v1::UpsertUserRequest request = Contact();
    SetTimestamp(kNow - absl::Minutes(60 - minute),
                 request.mutable_occurred_at());
    return request;
  };
  ASSERT_TRUE(store_.Upsert(dated(1)).ok());
  now_ += absl::Seconds(5);
  v1::UpsertUserRequest press = Contact();
  press.mutable_identity()->set_first_name("Pressed");
  v1::Profile profile = store_.Upsert(press)->profile();
  EXPECT_EQ(profile.first_name(), "Pressed");
  EXPECT_EQ(FromTimestamp(profile.last_activity()), kNow - absl::Minutes(59));
  EXPECT_EQ(FromTimestamp(profile.last_seen_at()), kNow + absl::Seconds(5));

  v1::UpsertUserRequest renamed = dated(2);
  renamed.mutable_identity()->set_first_name("Renamed");
  EXPECT_EQ(store_.Upsert(renamed)->profile().first_name(), "Renamed");
  v1::UpsertUserRequest kicked = dated(3);
  kicked.set_is_active(false);
  profile = store_.Upsert(kicked)->profile();
  EXPECT_FALSE(profile.is_active());
  EXPECT_EQ(FromTimestamp(profile.last_activity()), kNow - absl::Minutes(57));
}

TEST_P(ProfileStoreTest, StoresTimesBefore1970) {
  v1::UpsertUserRequest request = Contact();
  const absl::Time event = absl::FromUnixMicros(-1'500'001);
  SetTimestamp(event, request.mutable_occurred_at());
  const v1::Profile profile = store_.Upsert(request)->profile();
  EXPECT_EQ(FromTimestamp(profile.last_activity()), event);
}

TEST_P(ProfileStoreTest, ChangesUpdatedAtOnlyWithTheData) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  now_ += absl::Seconds(5);
  v1::Profile profile = store_.Upsert(Contact())->profile();
  EXPECT_EQ(FromTimestamp(profile.updated_at()), kNow);
  EXPECT_EQ(FromTimestamp(profile.last_seen_at()), kNow + absl::Seconds(5));

  v1::UpsertUserRequest blocked = Contact();
  blocked.set_is_active(false);
  profile = store_.Upsert(blocked)->profile();
  EXPECT_FALSE(profile.is_active());
  EXPECT_EQ(FromTimestamp(profile.updated_at()), kNow + absl::Seconds(5));
}

TEST_P(ProfileStoreTest, KeepsWhetherAUserIsActiveOnAContactThatSaysNothing) {
  v1::UpsertUserRequest contact = Contact();
  for (const bool is_active : {false, true}) {
    contact.set_is_active(is_active);
    ASSERT_TRUE(store_.Upsert(contact).ok());
    for (const bool if_new : {false, true}) {
      v1::UpsertUserRequest says_nothing = Contact();
      EXPECT_EQ(store_.Upsert(says_nothing)->profile().is_active(), is_active);
      says_nothing.set_is_active_if_new(if_new);
      EXPECT_EQ(store_.Upsert(says_nothing)->profile().is_active(), is_active);
    }
  }
}

TEST_P(ProfileStoreTest, StartsANewUserAsActiveAsTheContactSays) {
  struct Case {
    absl::optional<bool> is_active, if_new;
    bool expected;
  };
  std::int64_t user = 0;
  for (const Case& c :
       {Case{absl::nullopt, absl::nullopt, true},
        Case{absl::nullopt, false, false}, Case{absl::nullopt, true, true},
        Case{true, false, true}, Case{false, true, false}}) {
    v1::UpsertUserRequest request = Contact(++user);
    if (c.is_active) request.set_is_active(*c.is_active);
    if (c.if_new) request.set_is_active_if_new(*c.if_new);
    EXPECT_EQ(store_.Upsert(request)->profile().is_active(), c.expected)
        << request.DebugString();
  }
}

TEST_P(ProfileStoreTest, KeepsTextAsItIs) {
  const std::vector<std::string> texts = {"NULL",
                                          "null",
                                          "{}",
                                          "a,b",
                                          "\"quoted\"",
                                          "back\\slash",
                                          "'); DROP--",
                                          " spaces ",
                                          "\xD8\xB3\xD9\x84\xD8\xA7\xD9\x85",
                                          "\xF0\x9F\x98\x80",
                                          std::string(256, 'x')};
  std::int64_t user_id = 1;
  for (const std::string& text : texts) {
    v1::UpsertUserRequest request = Contact(user_id);
    request.mutable_identity()->set_first_name(text);
    request.mutable_identity()->set_last_name(text);
    ASSERT_TRUE(store_.Upsert(request).ok()) << text;
    const v1::Profile profile = store_.Get(user_id)->profile();
    EXPECT_EQ(profile.first_name(), text);
    EXPECT_EQ(profile.last_name(), text);
    ++user_id;
  }
}

TEST_P(ProfileStoreTest, TakesTheLargestUserId) {
  const std::int64_t largest = (std::int64_t{1} << 52) - 1;
  EXPECT_TRUE(store_.Upsert(Contact(largest))->created());
  EXPECT_EQ(store_.Get(largest)->profile().user_id(), largest);
}

TEST_P(ProfileStoreTest, GivesEachOfManyConcurrentContactsItsOwnEffect) {
  const auto responses =
      store_.UpsertAll(std::vector<v1::UpsertUserRequest>(32, Contact()));
  std::set<std::int64_t> revisions;
  int created = 0;
  for (const auto& response : responses) {
    ASSERT_TRUE(response.ok()) << response.status();
    revisions.insert(response->profile().revision());
    created += response->created() ? 1 : 0;
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(*revisions.begin(), 1);
  if (GetParam().contact_interval > absl::ZeroDuration()) return;
  EXPECT_EQ(revisions.size(), 32u);
  EXPECT_EQ(*revisions.rbegin(), 32);
}

TEST_P(ProfileStoreTest,
       TheContactThatCreatedAUserSaysSoAgainAndWritesNothing) {
  v1::UpsertUserRequest first = Contact();
  first.set_event_id("123456:7");
  const auto created = store_.Upsert(first);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_TRUE(created->created());
  EXPECT_EQ(created->profile().created_by_event(), "123456:7");

  now_ += absl::Hours(2);
  first.mutable_identity()->set_first_name("Not written");
  const auto again = store_.Upsert(first);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->created());
  EXPECT_TRUE(MessageDifferencer::Equals(again->profile(), created->profile()));

  v1::UpsertUserRequest second = Contact();
  second.mutable_identity()->set_first_name("Other");
  for (const char* event : {"123456:8", "123456:", "", "123456:7 "}) {
    second.set_event_id(event);
    const auto known = store_.Upsert(second);
    ASSERT_TRUE(known.ok()) << known.status();
    EXPECT_FALSE(known->created()) << event;
    EXPECT_EQ(known->profile().created_by_event(), "123456:7");
  }
  const auto late = store_.Upsert(first);
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_TRUE(late->created());
  EXPECT_EQ(late->profile().first_name(), "Other");

  ASSERT_TRUE(store_.Complete(Answers(kUser, "ada")).ok());
  const auto onboarded = store_.Upsert(first);
  ASSERT_TRUE(onboarded.ok()) << onboarded.status();
  EXPECT_FALSE(onboarded->created()) << "who is onboarded is not new";
}

TEST_P(ProfileStoreTest, WhoWasCreatedByNoEventIsNeverNewByOne) {
  v1::UpsertUserRequest request = Contact();
  ASSERT_TRUE(store_.Upsert(request)->created());
  request.set_event_id("123456:7");
  EXPECT_FALSE(store_.Upsert(request)->created());
  EXPECT_FALSE(store_.Upsert(request)->created());

  v1::DeleteUserRequest deletion;
  deletion.set_user_id(kUser);
  ASSERT_TRUE(store_.Delete(deletion).ok());
  EXPECT_TRUE(store_.Upsert(request)->created());
  EXPECT_TRUE(store_.Upsert(request)->created());
}

TEST_P(ProfileStoreTest, OneEventCreatesEachOfManyUsers) {
  std::vector<v1::UpsertUserRequest> requests;
  for (int user = 1; user <= 20; ++user) {
    requests.push_back(Contact(user));
    requests.back().set_event_id(absl::StrCat(user % 2 == 0 ? "a" : "b"));
  }
  for (int round = 0; round < 3; ++round) {
    for (const auto& response : store_.UpsertAll(requests)) {
      ASSERT_TRUE(response.ok()) << response.status();
      EXPECT_TRUE(response->created());
      EXPECT_EQ(response->profile().revision(), 1);
    }
  }
}

TEST_P(ProfileStoreTest, AnswersEachOfManyWithItsOwnUser) {
  std::vector<v1::UpsertUserRequest> requests;
  for (int i = 1; i <= 300; ++i) {
    v1::UpsertUserRequest request = Contact(i);
    v1::Identity* identity = request.mutable_identity();
    identity->set_first_name("user " + std::to_string(i));
    // All shapes of presence, in one crowd.
    if (i % 2 == 0) identity->set_last_name("");
    if (i % 3 == 0) identity->set_last_name("last");
    if (i % 5 == 0) identity->set_username("");
    if (i % 7 == 0) identity->set_language_code("fa");
    requests.push_back(request);
  }
  for (int round = 0; round < 2; ++round) {
    const auto responses = store_.UpsertAll(requests);
    for (std::size_t i = 0; i < responses.size(); ++i) {
      ASSERT_TRUE(responses[i].ok()) << responses[i].status();
      const v1::Profile& profile = responses[i]->profile();
      EXPECT_EQ(profile.user_id(), requests[i].user_id());
      EXPECT_EQ(profile.first_name(), requests[i].identity().first_name());
      EXPECT_EQ(profile.last_name(), requests[i].identity().last_name());
      EXPECT_EQ(responses[i]->created(), round == 0);
    }
  }
}

TEST_P(ProfileStoreTest, DoesNothingForACallerWhoDoesNotWaitAnyMore) {
  for (const auto& [context, reason] :
       {std::pair(CallContext{.deadline = base::SteadyTime::InfinitePast()},
                  "DEADLINE_EXCEEDED"),
        std::pair(CallContext{.cancelled = [] { return true; }},
                  "CANCELLED")}) {
    EXPECT_EQ(base::ErrorReason(store_.Upsert(Contact(), context).status()),
              reason);
    EXPECT_TRUE(absl::IsNotFound(store_.Get(kUser).status()));
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, ProfileStoreTest, kImplementations, NameOf);

}  // namespace
}  // namespace userprofile::store
