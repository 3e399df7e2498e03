// The table of changes, with PostgreSQL alone: transactions that commit late,
// users who are deleted, what is trimmed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/store/testing/postgres_store_fixture.h"
#include "server/store/trimmer.h"

namespace userprofile::store {
namespace {

using ::testing::IsEmpty;

class PostgresChangesTest : public PostgresStoreTest {
 protected:
  ChangesCall::Page Read(const absl::optional<ChangePlace>& after) {
    const auto page = store().ReadChanges({.after = after});
    EXPECT_TRUE(page.ok()) << page.status();
    return page.value_or(ChangesCall::Page());
  }

  // The newest change, once no transaction of others that write something holds
  // it up, autovacuum's say.
  ChangePlace Now() {
    AwaitThat(
        [this] { return Read(absl::nullopt).held_up == absl::ZeroDuration(); });
    return Newest();
  }

  // The newest that is settled.
  ChangePlace Newest() { return Read(absl::nullopt).end.value_or(""); }

  // Who changed; below 0 who was deleted.
  std::vector<std::int64_t> After(const ChangePlace& place) {
    std::vector<std::int64_t> users;
    for (const Change& change : Read(place).changes) {
      users.push_back(change.event.has_profile()
                          ? change.event.profile().user_id()
                          : -change.event.deleted_user_id());
    }
    return users;
  }

  // The same once it is so: others may hold up the last of them.
  void ExpectAfter(const ChangePlace& place,
                   const std::vector<std::int64_t>& users) {
    AwaitThat([&] { return After(place) == users; });
  }

  static void AwaitThat(const std::function<bool()>& is_so) {
    const base::SteadyTime limit = base::SteadyTime::Now() + absl::Seconds(20);
    while (!is_so()) {
      ASSERT_TRUE(base::SteadyTime::Now() < limit);
      absl::SleepFor(absl::Milliseconds(5));
    }
  }

  void Upsert(std::int64_t user, const std::string& name = "Test") {
    const auto response = store().Upsert(Contact(user, name));
    ASSERT_TRUE(response.ok()) << response.status();
  }

  void Delete(std::int64_t user) {
    database_.Execute(absl::StrCat(
        "WITH gone AS (DELETE FROM users WHERE user_id = ", user,
        " RETURNING revision) INSERT INTO userprofile_changes (user_id, "
        "revision, kind, changed_at) SELECT ",
        user, ", revision + 1, 'd', now() FROM gone"));
  }

  void AddOld(int count) {
    database_.Execute(absl::StrCat(
        "UPDATE userprofile_changes SET changed_at = now() - interval '1 hour';"
        "INSERT INTO userprofile_changes (user_id, revision, kind, changed_at) "
        "SELECT n, 1, 'w', now() - interval '1 hour' FROM generate_series(1, ",
        count, ") AS n"));
  }

  void AwaitCount(std::int64_t count) {
    AwaitThat([&] {
      return Count("SELECT count(*) FROM userprofile_changes") == count;
    });
  }

  // Until there are so many changes.
  void TrimTo(std::int64_t count, TrimmerOptions options) {
    options.interval = absl::Milliseconds(10);
    Trimmer trimmer(database_.session_factory(), options);
    AwaitCount(count);
  }
};

// The one that began first commits last: what is read by a sequence, a time or
// what is there would pass it by.
TEST_F(PostgresChangesTest, MissesNothingThatIsCommittedLate) {
  Upsert(1);
  const ChangePlace start = Now();
  const auto late = database_.Connect();
  ASSERT_TRUE(late->ExecuteScript(
                      "BEGIN; INSERT INTO userprofile_changes (user_id, "
                      "revision, kind, changed_at) VALUES (1, 1, 'w', now())")
                  .ok());
  for (int user = 2; user <= 4; ++user) Upsert(user);
  const ChangesCall::Page meanwhile = Read(start);
  EXPECT_THAT(meanwhile.changes, IsEmpty());

  ASSERT_TRUE(late->ExecuteScript("COMMIT").ok());
  ExpectAfter(*meanwhile.end, {1, 2, 3, 4});
  ExpectAfter(start, {1, 2, 3, 4});
}

TEST_F(PostgresChangesTest, ATransactionThatIsUndoneHoldsNothingBack) {
  const ChangePlace start = Now();
  const auto late = database_.Connect();
  ASSERT_TRUE(late->ExecuteScript("BEGIN; SELECT pg_current_xact_id()").ok());
  Upsert(1);
  EXPECT_THAT(After(start), IsEmpty());
  ASSERT_TRUE(late->ExecuteScript("ROLLBACK").ok());
  ExpectAfter(start, {1});
}

TEST_F(PostgresChangesTest, TellsWhoWasDeleted) {
  Upsert(1);
  const ChangePlace start = Now();
  Upsert(1, "Other");
  Delete(1);
  ExpectAfter(start, {-1});
}

// Also to who went on in between.
TEST_F(PostgresChangesTest, TellsWhoCameBack) {
  Upsert(1);
  const ChangePlace start = Now();
  Delete(1);
  Upsert(1);
  const ChangesCall::Page page = Read(start);
  ASSERT_EQ(page.changes.size(), 2);
  EXPECT_EQ(page.changes[0].event.deleted_user_id(), 1);
  EXPECT_EQ(page.changes[1].event.profile().revision(), 1);
  ExpectAfter(page.changes[0].place, {-1, 1});
}

// The one who came back may have been written by the older transaction: in the
// order of reading, the deletion comes last.
TEST_F(PostgresChangesTest, TellsWhoCameBackByAnOlderTransaction) {
  Upsert(1);
  const ChangePlace start = Now();
  const auto older = database_.Connect();
  ASSERT_TRUE(older->ExecuteScript("BEGIN; SELECT pg_current_xact_id()").ok());
  Delete(1);
  ASSERT_TRUE(older
                  ->ExecuteScript(
                      "INSERT INTO users (user_id, first_name) VALUES (1, "
                      "'Back'); INSERT INTO userprofile_changes (user_id, "
                      "revision, kind, changed_at) VALUES (1, 1, 'w', now()); "
                      "COMMIT")
                  .ok());
  ExpectAfter(start, {-1, 1});
}

// What was written before a deletion may be told after it, on another page: as
// whoever came back. Then a revision would go back.
TEST_F(PostgresChangesTest, ADeletionIsToldBeforeALaterLife) {
  Upsert(1);
  Upsert(1, "Other");
  const ChangePlace start = Now();
  Upsert(1, "Third");
  Delete(1);
  Upsert(1);
  const auto first = store().ReadChanges({.after = start, .limit = 1});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->changes, IsEmpty());
  EXPECT_TRUE(first->more);
  ExpectAfter(*first->end, {-1, 1});
}

TEST_F(PostgresChangesTest, TellsWhoWasDeletedBySqlOfOthersOnceTheyChanged) {
  const ChangePlace start = Now();
  Upsert(1);
  database_.Execute("DELETE FROM users");
  ExpectAfter(start, {-1});
}

// A number of a transaction that wrote nothing is given again after a crash.
TEST_F(PostgresChangesTest, APlaceIsAChange) {
  const ChangePlace start = Now();
  EXPECT_NE(start, "");
  const auto other = database_.Connect();
  ASSERT_TRUE(other->ExecuteScript("SELECT pg_current_xact_id()").ok());
  EXPECT_EQ(Newest(), start);
  Upsert(1);
  EXPECT_NE(Now(), start);
}

// A primary that had not received it may give its number to another.
TEST_F(PostgresChangesTest, AChangeThatWasLostIsNoPlace) {
  Upsert(1);
  const ChangePlace kept = Now();
  Upsert(2);
  const ChangePlace lost = Now();
  EXPECT_THAT(After(lost), IsEmpty());
  database_.Execute(
      "UPDATE userprofile_changes SET changed_at = changed_at + interval '1 "
      "microsecond' WHERE user_id = 2");
  EXPECT_TRUE(
      absl::IsOutOfRange(store().ReadChanges({.after = lost}).status()));
  database_.Execute("DELETE FROM userprofile_changes WHERE user_id = 2");
  EXPECT_TRUE(
      absl::IsOutOfRange(store().ReadChanges({.after = lost}).status()));
  Upsert(3);
  EXPECT_TRUE(
      absl::IsOutOfRange(store().ReadChanges({.after = lost}).status()));
  ExpectAfter(kept, {3});
}

TEST_F(PostgresChangesTest, SaysForHowLongAChangeIsHeldUp) {
  Now();
  const auto open = database_.Connect();
  ASSERT_TRUE(open->ExecuteScript("BEGIN; SELECT pg_current_xact_id()").ok());
  Upsert(1);
  EXPECT_GT(Read(absl::nullopt).held_up, absl::ZeroDuration());
}

// As ORMs' triggers do, by the time of another place.
TEST_F(PostgresChangesTest, TellsWhatChangesThoughATriggerSetsTheTime) {
  database_.Execute(
      "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
      "NEW.updated_at := now() - interval ''5 hours''; RETURN NEW; END'; "
      "CREATE TRIGGER touch BEFORE "
      "INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()");
  Upsert(1);
  const ChangePlace start = Now();
  Upsert(1, "Other");
  ExpectAfter(start, {1});
}

TEST_F(PostgresChangesTest, KnowsExactlyWhatWasTrimmed) {
  const ChangePlace start = Now();
  for (int user = 1; user <= 10; ++user) Upsert(user);
  const std::vector<Change> changes = Read(start).changes;
  ASSERT_EQ(changes.size(), 10);
  TrimmerOptions options;
  options.kept = 4;
  TrimTo(4, options);
  EXPECT_TRUE(
      absl::IsOutOfRange(store().ReadChanges({.after = start}).status()));
  EXPECT_TRUE(absl::IsOutOfRange(
      store().ReadChanges({.after = changes[5].place}).status()));
  ExpectAfter(changes[6].place, {8, 9, 10});
  EXPECT_THAT(After(changes[9].place), IsEmpty());
  Upsert(11);
  ExpectAfter(changes[9].place, {11});
}

TEST_F(PostgresChangesTest, TrimsByAgeInBatches) {
  AddOld(2500);
  Upsert(1);
  const ChangePlace before = Now();
  Upsert(2);
  TrimmerOptions options;
  options.kept_for = absl::Minutes(30);
  TrimTo(3, options);  // the last of the old ones was followed only now
  ExpectAfter(before, {2});
}

// Who heard all that there was, and was away while a change came, goes on.
TEST_F(PostgresChangesTest, WhatWasTheNewestUntilNowIsNotOld) {
  AddOld(10);
  const ChangePlace newest = Now();
  Upsert(1);
  TrimmerOptions options;
  options.kept_for = absl::Minutes(30);
  TrimTo(2, options);
  ExpectAfter(newest, {1});
}

TEST_F(PostgresChangesTest, PassesByManyThatStay) {
  AddOld(60'000);
  TrimmerOptions options;
  options.kept = 58'000;
  TrimTo(58'000, options);
}

// It is where everybody goes on from.
TEST_F(PostgresChangesTest, LeavesTheNewest) {
  AddOld(10);
  const ChangePlace newest = Now();
  TrimmerOptions options;
  options.kept = 0;
  options.kept_for = absl::ZeroDuration();
  TrimTo(1, options);
  EXPECT_EQ(Now(), newest);
  EXPECT_THAT(After(newest), IsEmpty());
}

TEST_F(PostgresChangesTest, DeletesNothingWhileItMayNotWrite) {
  AddOld(10);
  std::atomic<bool> may_write{false};
  TrimmerOptions options;
  options.kept = 1;
  options.interval = absl::Milliseconds(1);
  options.may_write = [&] { return may_write.load(); };
  Trimmer trimmer(database_.session_factory(), options);
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(Count("SELECT count(*) FROM userprofile_changes"), 11);
  may_write = true;
  AwaitCount(1);
}

// As of a copy of the database, whose transactions had come further.
TEST_F(PostgresChangesTest, ChangesOfAnotherClusterAreDiscarded) {
  Upsert(1);
  const ChangePlace start = Now();
  database_.Execute(
      "INSERT INTO userprofile_changes (xid, user_id, revision, kind, "
      "changed_at) SELECT '900000000000', n, 1, 'd', now() FROM "
      "generate_series(1, 10) AS n");
  EXPECT_EQ(Now(), start);
  Upsert(1, "Other");
  ExpectAfter(start, {1});
  TrimTo(3, {});  // the first one ever, and two of the user
  ExpectAfter(start, {1});

  database_.Execute("UPDATE userprofile_changes SET xid = '900000000000'");
  EXPECT_EQ(Newest(), "");
  TrimTo(1, {});
  EXPECT_NE(Now(), "");
}

TEST_F(PostgresChangesTest, ATableThatWasMadeAgainKnowsNothingOfTheOldOne) {
  const ChangePlace start = Now();
  database_.Execute(
      "ALTER TABLE userprofile_changes RENAME TO old; CREATE TABLE "
      "userprofile_changes (LIKE old INCLUDING ALL); INSERT INTO "
      "userprofile_changes SELECT * FROM old");
  EXPECT_TRUE(
      absl::IsOutOfRange(store().ReadChanges({.after = start}).status()));
}

}  // namespace
}  // namespace userprofile::store
