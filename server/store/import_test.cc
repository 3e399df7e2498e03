// Users of another system, with PostgreSQL.

#include "server/store/import.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/postgres_store_fixture.h"

namespace userprofile::store {
namespace {

// Rounded, for the database holds no nanoseconds; and after whatever the tests
// store.
const absl::Time kNow =
    absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now()) + 60);
const absl::Time kLongAgo = kNow - absl::Hours(24 * 365);

ImportedUser User(std::int64_t user_id) {
  ImportedUser user;
  user.profile.set_user_id(user_id);
  user.profile.set_first_name("Ada");
  return user;
}

ImportedUser Onboarded(std::int64_t user_id, const std::string& nickname) {
  ImportedUser user = User(user_id);
  user.profile.set_real_name("Ada Lovelace");
  user.profile.set_nickname(nickname);
  return user;
}

class ImportTest : public PostgresStoreTest {
 protected:
  ImportCounts Import(std::vector<ImportedUser>& users, bool dry_run = false) {
    const auto session = Configured();
    const auto counts =
        ImportUsers(*session, absl::MakeSpan(users), kNow, dry_run);
    EXPECT_TRUE(counts.ok()) << counts.status();
    return counts.value_or(ImportCounts());
  }

  ImportCounts Import(const ImportedUser& user) {
    std::vector<ImportedUser> users = {user};
    return Import(users);
  }

  void Upsert(std::int64_t user_id, const std::string& name = "Test") {
    EXPECT_TRUE(store().Upsert(Contact(user_id, name)).ok());
  }

  std::unique_ptr<postgres::Session> Configured() {
    return *database_.session_factory()();
  }

  v1::Profile ProfileOf(std::int64_t user_id) {
    const auto response = store().Get(user_id);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->profile() : v1::Profile();
  }
};

TEST_F(ImportTest, MakesOfStrangersWhoTheyWere) {
  ImportedUser user = Onboarded(7, "ada");
  user.is_active = false;
  SetTimestamp(kLongAgo, user.profile.mutable_created_at());
  SetTimestamp(kNow - absl::Hours(1), user.profile.mutable_last_activity());
  (*user.profile.mutable_attributes()->mutable_fields())["level"]
      .set_number_value(3);
  std::vector<ImportedUser> users = {user, User(8)};
  const ImportCounts counts = Import(users);
  EXPECT_EQ(counts.created, 2);
  EXPECT_EQ(counts.changed, 0);
  const v1::Profile ada = ProfileOf(7);
  EXPECT_EQ(ada.first_name(), "Ada");
  EXPECT_EQ(ada.nickname(), "ada");
  EXPECT_TRUE(ada.onboarding_completed());
  EXPECT_FALSE(ada.is_active());
  EXPECT_EQ(FromTimestamp(ada.created_at()), kLongAgo);
  EXPECT_EQ(FromTimestamp(ada.last_activity()), kNow - absl::Hours(1));
  EXPECT_EQ(FromTimestamp(ada.updated_at()), kNow);
  EXPECT_EQ(ada.revision(), 1);
  EXPECT_EQ(ada.attributes().fields().at("level").number_value(), 3);
  const v1::Profile other = ProfileOf(8);
  EXPECT_TRUE(other.is_active());
  EXPECT_FALSE(other.onboarding_completed());
  EXPECT_EQ(FromTimestamp(other.created_at()), kNow);
}

TEST_F(ImportTest, IsNoContact) {
  Import(User(7));
  const auto contact = store().Upsert(Contact(7, "Ada"));
  ASSERT_TRUE(contact.ok());
  EXPECT_FALSE(contact->created());
}

TEST_F(ImportTest, TheSameAgainChangesNothing) {
  ImportedUser user = Onboarded(7, "ada");
  SetTimestamp(kLongAgo, user.profile.mutable_created_at());
  (*user.profile.mutable_attributes()->mutable_fields())["a"].set_bool_value(
      true);
  Import(user);
  const v1::Profile before = ProfileOf(7);
  const ImportCounts again = Import(user);
  EXPECT_EQ(again.created, 0);
  EXPECT_EQ(again.changed, 0);
  EXPECT_EQ(ProfileOf(7).DebugString(), before.DebugString());
}

TEST_F(ImportTest, FillsInWhatIsMissingAndLowersNothing) {
  Upsert(7, "Now");
  const v1::Profile before = ProfileOf(7);
  ImportedUser user = Onboarded(7, "ada");
  user.profile.set_username("ada_l");
  user.is_active = false;
  SetTimestamp(kLongAgo, user.profile.mutable_created_at());
  SetTimestamp(kLongAgo, user.profile.mutable_last_seen_at());
  const ImportCounts counts = Import(user);
  EXPECT_EQ(counts.created, 0);
  EXPECT_EQ(counts.changed, 1);
  v1::Profile after = ProfileOf(7);
  EXPECT_EQ(after.first_name(), "Now");
  EXPECT_EQ(after.username(), "ada_l");
  EXPECT_EQ(after.nickname(), "ada");
  EXPECT_TRUE(after.onboarding_completed());
  EXPECT_TRUE(after.is_active());
  EXPECT_EQ(FromTimestamp(after.created_at()), kLongAgo);
  EXPECT_EQ(after.last_seen_at().seconds(), before.last_seen_at().seconds());
  EXPECT_EQ(after.revision(), 2);

  // Not the other way round either.
  ImportedUser lower = User(7);
  lower.onboarding_completed = false;
  lower.profile.set_first_name("Then");
  SetTimestamp(kNow, lower.profile.mutable_created_at());
  EXPECT_EQ(Import(lower).changed, 0);
  after = ProfileOf(7);
  EXPECT_TRUE(after.onboarding_completed());
  EXPECT_EQ(after.first_name(), "Now");
}

TEST_F(ImportTest, AddsAttributesThatTheUserHasNot) {
  ImportedUser user = User(7);
  auto& fields = *user.profile.mutable_attributes()->mutable_fields();
  fields["a"].set_number_value(1);
  Import(user);
  fields["a"].set_number_value(2);
  fields["b"].set_number_value(2);
  EXPECT_EQ(Import(user).changed, 1);
  const auto stored = ProfileOf(7).attributes().fields();
  EXPECT_EQ(stored.at("a").number_value(), 1);
  EXPECT_EQ(stored.at("b").number_value(), 2);
}

TEST_F(ImportTest, NamesWhoHasAnothersNicknameAndStoresTheRest) {
  Import(Onboarded(1, "ada"));
  std::vector<ImportedUser> users = {Onboarded(2, "ada"), Onboarded(3, "eve"),
                                     Onboarded(4, "eve"), Onboarded(1, "ada")};
  EXPECT_EQ(Import(users).created, 3);
  EXPECT_TRUE(absl::IsAlreadyExists(users[0].result));
  EXPECT_TRUE(users[1].result.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(users[2].result));
  EXPECT_TRUE(users[3].result.ok());
  for (const std::int64_t user : {2, 4}) {
    EXPECT_FALSE(ProfileOf(user).has_nickname());
    EXPECT_EQ(ProfileOf(user).real_name(), "Ada Lovelace");
    EXPECT_TRUE(ProfileOf(user).onboarding_completed());
  }
  EXPECT_EQ(ProfileOf(3).nickname(), "eve");
}

TEST_F(ImportTest, WhoHasANicknameTakesNone) {
  Import(Onboarded(1, "x"));
  std::vector<ImportedUser> users = {Onboarded(1, "ada"), Onboarded(2, "ada"),
                                     Onboarded(3, "x")};
  Import(users);
  EXPECT_TRUE(users[0].result.ok());
  EXPECT_TRUE(users[1].result.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(users[2].result));
  EXPECT_EQ(ProfileOf(1).nickname(), "x");
  EXPECT_EQ(ProfileOf(2).nickname(), "ada");
}

// As by an index of the table's owner, or if a bot is faster.
TEST_F(ImportTest, WhoClashesElsewhereIsNotSaidToBeStored) {
  database_.Execute("CREATE UNIQUE INDEX theirs ON users (lower(nickname))");
  Import(Onboarded(1, "ada"));
  std::vector<ImportedUser> users = {Onboarded(2, "ADA"), User(3)};
  EXPECT_EQ(Import(users).created, 2);
  EXPECT_TRUE(absl::IsAlreadyExists(users[0].result));
  EXPECT_FALSE(ProfileOf(2).has_nickname());
  database_.Execute(
      "UPDATE users SET real_name = user_id;"
      "UPDATE users SET real_name = 'Ada Lovelace' "
      "WHERE user_id = 1;"
      "CREATE UNIQUE INDEX also ON users (real_name)");
  users = {Onboarded(4, "eve"), User(5)};
  EXPECT_EQ(Import(users).created, 1);
  EXPECT_TRUE(absl::IsInvalidArgument(users[0].result)) << users[0].result;
  EXPECT_TRUE(absl::IsNotFound(store().Get(4).status()));
}

TEST_F(ImportTest, TellsWhoseAttributesDoNotFit) {
  ImportedUser user = User(7);
  auto& fields = *user.profile.mutable_attributes()->mutable_fields();
  for (int i = 0; i < 60; ++i) {
    fields[absl::StrCat("a", i)].set_bool_value(true);
  }
  Import(user);
  fields.clear();
  for (int i = 0; i < 10; ++i) {
    fields[absl::StrCat("b", i)].set_bool_value(true);
  }
  std::vector<ImportedUser> users = {user, User(8)};
  Import(users);
  EXPECT_TRUE(users[0].attributes_left_out);
  EXPECT_FALSE(users[1].attributes_left_out);
  EXPECT_EQ(ProfileOf(7).attributes().fields().size(), 60u);
}

TEST_F(ImportTest, OnlyWhomTheDatabaseRefusesIsLeftOut) {
  database_.Execute(
      "ALTER TABLE users ADD CONSTRAINT theirs CHECK (user_id <> 5)");
  std::vector<ImportedUser> users;
  for (int i = 1; i <= 9; ++i) users.push_back(User(i));
  EXPECT_EQ(Import(users).created, 8);
  for (const ImportedUser& user : users) {
    EXPECT_EQ(user.result.ok(), user.profile.user_id() != 5) << user.result;
  }
}

TEST_F(ImportTest, ADryRunCountsAndStoresNothing) {
  Upsert(1);
  std::vector<ImportedUser> users = {Onboarded(1, "ada"), User(2), User(3)};
  const ImportCounts counts = Import(users, /*dry_run=*/true);
  EXPECT_EQ(counts.created, 2);
  EXPECT_EQ(counts.changed, 1);
  EXPECT_EQ(database_.Execute("SELECT count(*) FROM users").Int64(0, 0), 1);
  EXPECT_FALSE(ProfileOf(1).has_nickname());
}

TEST_F(ImportTest, WatchesAreToldOfWhatChanged) {
  Upsert(1, "Ada");
  const auto count = [&] {
    return database_
        .Execute("SELECT count(*) FROM userprofile_changes WHERE kind = 'w'")
        .Int64(0, 0);
  };
  const std::int64_t before = count();
  std::vector<ImportedUser> users = {User(1), User(2), Onboarded(3, "ada")};
  Import(users);  // 1 is as they were
  EXPECT_EQ(count(), before + 2);
}

// Bots go on meanwhile, about the same users.
TEST_F(ImportTest, LosesNothingToContactsBesideIt) {
  constexpr int kUsers = 300;
  std::thread import([&] {
    for (int begin = 1; begin <= kUsers; begin += 50) {
      std::vector<ImportedUser> users;
      for (int i = begin; i < begin + 50; ++i) {
        users.push_back(Onboarded(i, absl::StrCat("ada", i)));
      }
      Import(users);
    }
  });
  for (const auto& response : UpsertMany(kUsers)) {
    EXPECT_TRUE(response.ok()) << response.status();
  }
  import.join();
  EXPECT_EQ(
      database_
          .Execute("SELECT count(*) FROM users WHERE onboarding_completed "
                   "AND nickname = 'ada' || user_id AND first_name = "
                   "'Test'")
          .Int64(0, 0),
      kUsers);
}

}  // namespace
}  // namespace userprofile::store
