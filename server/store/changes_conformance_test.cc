// What every ProfileStore tells of what changed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/store/testing/conformance.h"

namespace userprofile::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ChangesTest : public ProfileStoreTest {
 protected:
  ChangesCall::Page Read(const ChangesCall& call) {
    const auto page = store_.ReadChanges(call);
    EXPECT_TRUE(page.ok()) << page.status();
    return page.value_or(ChangesCall::Page());
  }

  ChangesCall::Page ReadAfter(const ChangePlace& place) {
    return Read({.after = place});
  }

  ChangePlace Now() { return Read({}).end.value_or(""); }

  // The ids of those who changed; of whom no profile is told, less than 0.
  static std::vector<std::int64_t> UsersOf(const ChangesCall::Page& page) {
    std::vector<std::int64_t> users;
    for (const Change& change : page.changes) {
      const v1::WatchProfilesResponse& event = change.event;
      users.push_back(event.profile().user_id() - event.deleted_user_id() -
                      event.unmatched_user_id());
    }
    return users;
  }

  std::vector<std::int64_t> After(const ChangePlace& place) {
    return UsersOf(ReadAfter(place));
  }
};

TEST_P(ChangesTest, TellsOfWhoCameAndOfWhatChangedAndOfNothingElse) {
  const ChangePlace start = Now();
  EXPECT_THAT(After(start), IsEmpty());
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  EXPECT_THAT(After(start), ElementsAre(kUser));

  const ChangePlace created = Now();
  now_ += absl::Hours(2);
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  EXPECT_THAT(After(created), IsEmpty()) << "a contact that changes nothing";

  v1::UpsertUserRequest renamed = Contact();
  renamed.mutable_identity()->set_first_name("Other");
  ASSERT_TRUE(store_.Upsert(renamed).ok());
  const ChangesCall::Page page = ReadAfter(created);
  ASSERT_THAT(UsersOf(page), ElementsAre(kUser));
  EXPECT_EQ(page.changes[0].event.profile().first_name(), "Other");

  const ChangePlace named = Now();
  v1::UpsertUserRequest blocked = Contact();
  blocked.clear_identity();
  blocked.set_is_active(false);
  ASSERT_TRUE(store_.Upsert(blocked).ok());
  EXPECT_THAT(After(named), ElementsAre(kUser));

  const ChangePlace left = Now();
  ASSERT_TRUE(store_.Complete(Answers(kUser, "ada")).ok());
  EXPECT_THAT(After(left), ElementsAre(kUser));

  const ChangePlace onboarded = Now();
  EXPECT_TRUE(store_.Complete(Answers(kUser, "ada")).ok());
  EXPECT_THAT(After(onboarded), IsEmpty()) << "the same answers again";
}

TEST_P(ChangesTest, TellsOneUserOnceInAPageAndAsTheyAreNow) {
  const ChangePlace start = Now();
  for (const char* name : {"One", "Two", "Three"}) {
    v1::UpsertUserRequest request = Contact();
    request.mutable_identity()->set_first_name(name);
    ASSERT_TRUE(store_.Upsert(request).ok());
    now_ += absl::Seconds(1);
  }
  const ChangesCall::Page page = ReadAfter(start);
  ASSERT_THAT(UsersOf(page), ElementsAre(kUser));
  EXPECT_EQ(page.changes[0].event.profile().first_name(), "Three");
  EXPECT_EQ(page.changes[0].event.profile().revision(), 3);
}

TEST_P(ChangesTest, GoesOnPageByPageFromEachPlace) {
  const ChangePlace start = Now();
  for (int user = 1; user <= 5; ++user) {
    ASSERT_TRUE(store_.Upsert(Contact(user)).ok());
  }
  std::vector<std::int64_t> users;
  ChangePlace place = start;
  for (bool more = true; more;) {
    const ChangesCall::Page page = Read({.after = place, .limit = 2});
    for (const std::int64_t user : UsersOf(page)) users.push_back(user);
    place = page.end.value_or("");
    more = page.more;
  }
  EXPECT_THAT(users, ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(After(place), IsEmpty());

  const ChangesCall::Page all = ReadAfter(start);
  ASSERT_EQ(all.changes.size(), 5);
  EXPECT_FALSE(all.more);
  EXPECT_THAT(After(all.changes[1].place), ElementsAre(3, 4, 5));
  EXPECT_THAT(After(all.changes[4].place), IsEmpty());
}

TEST_P(ChangesTest, TellsWhoWasDeletedAndWhoCameBack) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  const ChangePlace start = Now();
  v1::DeleteUserRequest request;
  request.set_user_id(kUser);
  ASSERT_TRUE(store_.Delete(request).ok());
  EXPECT_THAT(After(start), ElementsAre(-kUser));
  now_ += absl::Seconds(1);
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  EXPECT_THAT(After(start), ElementsAre(-kUser, kUser));
}

TEST_P(ChangesTest, TellsWhoCameBackAgainAndAgainInTheOrderOfTheirLives) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  const ChangePlace start = Now();
  v1::DeleteUserRequest request;
  request.set_user_id(kUser);
  for (int life = 0; life < 3; ++life) {
    ASSERT_TRUE(store_.Complete(Answers(kUser, "ada")).ok());
    ASSERT_TRUE(store_.Delete(request).ok());
    ASSERT_TRUE(store_.Upsert(Contact()).ok());
  }
  std::vector<std::int64_t> told;
  ChangePlace place = start;
  for (bool more = true; more;) {
    const ChangesCall::Page page = Read({.after = place, .limit = 1});
    for (const std::int64_t user : UsersOf(page)) told.push_back(user);
    place = page.end.value_or("");
    more = page.more;
  }
  EXPECT_THAT(told, ElementsAre(-kUser, kUser, kUser));
}

TEST_P(ChangesTest, EndsAPageOnceItsProfilesAreLarge) {
  const ChangePlace start = Now();
  for (int user = 1; user <= 5; ++user) {
    ASSERT_TRUE(store_.Upsert(Contact(user)).ok());
  }
  const std::size_t size =
      ReadAfter(start).changes[0].event.profile().ByteSizeLong();
  const ChangesCall::Page page = Read({.after = start, .most_bytes = 2 * size});
  EXPECT_THAT(UsersOf(page), ElementsAre(1, 2));
  EXPECT_TRUE(page.more);
  EXPECT_THAT(After(page.end.value_or("")), ElementsAre(3, 4, 5));
  EXPECT_THAT(UsersOf(Read({.after = start, .most_bytes = 1})), ElementsAre(1));
}

TEST_P(ChangesTest, TellsTheIdsOfThoseWhomTheFilterDoesNotLetPass) {
  ChangesCall call;
  call.after = Now();
  call.filter.set_nickname_prefix("ada");
  (*call.filter.mutable_attributes()->mutable_fields())["city"].set_null_value(
      {});
  for (int user = 1; user <= 3; ++user) {
    ASSERT_TRUE(store_.Upsert(Contact(user)).ok());
  }
  ASSERT_TRUE(store_.Complete(Answers(2, "ada_l")).ok());
  EXPECT_THAT(UsersOf(Read(call)), ElementsAre(-1, 2, -3));

  call.after = Now();
  v1::UpdateProfileRequest edit;
  v1::Profile& wanted = *edit.mutable_profile();
  wanted.set_user_id(2);
  (*wanted.mutable_attributes()->mutable_fields())["city"].set_string_value(
      "a");
  edit.mutable_update_mask()->add_paths("attributes.city");
  ASSERT_TRUE(store_.Update(edit).ok());
  const ChangesCall::Page page = Read(call);
  ASSERT_THAT(UsersOf(page), ElementsAre(-2));
  EXPECT_EQ(page.changes[0].event.unmatched_user_id(), 2);
}

TEST_P(ChangesTest, TellsOfContactsThatChangeNothingOnRequest) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  ChangesCall call = {.after = Now(), .include_contacts = true};
  now_ += absl::Hours(2);
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  if (!GetParam().record_contacts) {
    const auto page = store_.ReadChanges(call);
    EXPECT_TRUE(absl::IsFailedPrecondition(page.status()));
    return;
  }
  const ChangesCall::Page page = Read(call);
  ASSERT_THAT(UsersOf(page), ElementsAre(kUser));
  EXPECT_EQ(page.changes[0].event.profile().revision(), 2);
  EXPECT_THAT(After(*call.after), IsEmpty());
  EXPECT_NE(page.end, call.after) << "what is not told is passed by";
}

TEST_P(ChangesTest, KnowsNoOtherPlaceThanThoseItTold) {
  ASSERT_TRUE(store_.Upsert(Contact()).ok());
  for (const ChangePlace& place : {Now() + "1", ChangePlace("fake")}) {
    EXPECT_TRUE(
        absl::IsOutOfRange(store_.ReadChanges({.after = place}).status()));
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, ChangesTest, kImplementations, NameOf);

}  // namespace
}  // namespace userprofile::store
