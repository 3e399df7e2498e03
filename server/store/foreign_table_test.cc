// What PostgresStore does with a users table that others made or changed.

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/postgres_store_fixture.h"

namespace userprofile::store {
namespace {

// A store whose table others have a hand in.
class ForeignTableTest : public PostgresStoreTest {
 protected:
  // Lets a trigger do nothing instead of what is to be done to user 7.
  void Swallow(const std::string& event) {
    database_.Execute(absl::StrCat(
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF NEW.user_id = 7 THEN RETURN NULL; END IF; RETURN NEW; END';"
        "CREATE TRIGGER swallow BEFORE ",
        event, " ON users FOR EACH ROW EXECUTE FUNCTION swallow()"));
  }

  // Of ten contacts at once only that one fails, for its row is refused.
  void ExpectOnlyRejected(int user) {
    const auto responses = UpsertMany(10);
    for (int i = 1; i <= 10; ++i) {
      EXPECT_EQ(responses[i - 1].ok(), i != user) << i;
    }
    EXPECT_EQ(base::ErrorReason(responses[user - 1].status()), "ROW_REJECTED");
  }
};

TEST_F(ForeignTableTest, LetsOnlyTheUserFailWhoseRowIsRefused) {
  database_.Execute("ALTER TABLE users ADD CHECK (user_id <> 77)");
  const auto responses = UpsertMany(200);
  for (int user = 1; user <= 200; ++user) {
    const absl::Status status = responses[user - 1].status();
    if (user == 77) {
      EXPECT_EQ(base::ErrorReason(status), "ROW_REJECTED");
    } else {
      EXPECT_TRUE(status.ok()) << user << ": " << status;
    }
  }
  EXPECT_EQ(Count("SELECT count(*) FROM users"), 199);
}

TEST_F(ForeignTableTest, ReportsARowThatATriggerSwallows) {
  Swallow("INSERT");
  ExpectOnlyRejected(7);
}

TEST_F(ForeignTableTest, ExplainsAMissingColumnAndRecoversWhenItIsBack) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().Get(1).ok());
  database_.Execute("ALTER TABLE users DROP COLUMN first_name");
  for (const absl::Status& status :
       {store().Upsert(Contact(1)).status(), store().Get(1).status(),
        store().Upsert(Contact(2)).status(), store().Get(2).status(),
        store().Complete(Answers(1)).status()}) {
    EXPECT_EQ(base::ErrorReason(status), "SCHEMA_NOT_READY") << status;
  }
  database_.Execute("ALTER TABLE users ADD COLUMN first_name varchar");
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
  EXPECT_TRUE(store().Get(1).ok());
  EXPECT_TRUE(store().Complete(Answers(1)).ok());
}

TEST_F(ForeignTableTest, NeverTakesAMissingTableForAnEmptyOne) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().Get(1).ok());
  database_.Execute("ALTER TABLE users RENAME TO users_elsewhere");
  EXPECT_EQ(base::ErrorReason(store().Get(1).status()), "SCHEMA_NOT_READY");
  EXPECT_EQ(base::ErrorReason(store().Upsert(Contact(1)).status()),
            "SCHEMA_NOT_READY");
  database_.Execute("ALTER TABLE users_elsewhere RENAME TO users");
  EXPECT_TRUE(store().Get(1).ok());
}

TEST_F(ForeignTableTest, FindsTheTableOnceTheSearchPathIsMended) {
  options_.upsert_workers = 1;  // each finds out by itself
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
  database_.Execute(
      "CREATE SCHEMA bot; ALTER TABLE users SET SCHEMA bot; ALTER TABLE "
      "userprofile_changes SET SCHEMA bot");
  EXPECT_EQ(base::ErrorReason(store().Upsert(Contact(1)).status()),
            "SCHEMA_NOT_READY");
  database_.Execute(
      "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = bot, "
      "public', current_database()); END $$");
  const auto contact = store().Upsert(Contact(1));
  ASSERT_TRUE(contact.ok()) << contact.status();
  EXPECT_FALSE(contact->created());
}

TEST_F(ForeignTableTest, RecoversFromAColumnThatChangesItsType) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  ASSERT_TRUE(store().Get(1).ok());
  database_.Execute("ALTER TABLE users ALTER first_name TYPE text");
  EXPECT_TRUE(store().Get(1).ok());
  EXPECT_TRUE(store().Upsert(Contact(1)).ok());
}

TEST_F(ForeignTableTest, ReadsTimesThatNoMessageCanHold) {
  database_.Execute(
      "INSERT INTO users (user_id, created_at, last_seen_at, last_activity)"
      " VALUES (1, '-infinity', 'infinity', '20000-01-01')");
  const auto response = store().Get(1);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->profile().created_at().seconds(), -62135596800);
  EXPECT_EQ(response->profile().last_seen_at().seconds(), 253402300799);
  EXPECT_EQ(response->profile().last_activity().seconds(), 253402300799);
}

TEST_F(ForeignTableTest, KeepsWhatALegacyBotStoredOfAnswersNotGiven) {
  database_.Execute(
      "INSERT INTO users (user_id, study_track, phone)"
      " VALUES (1, 'physics', '0912')");
  const auto response = store().Complete(Answers(1));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->profile().study_track(), "physics");
  EXPECT_EQ(response->profile().phone(), "0912");
  EXPECT_TRUE(store().Complete(Answers(1))->already_completed());
}

TEST_F(ForeignTableTest, DoesNotCallARowOfALegacyBotCreated) {
  database_.Execute("INSERT INTO users (user_id) VALUES (1)");
  EXPECT_FALSE(store().Upsert(Contact(1))->created());
}

TEST_F(ForeignTableTest, NeverCallsAKnownUserCreatedWhateverItsRevision) {
  for (const char* revision : {"0", "-1", "NULL"}) {
    SCOPED_TRACE(revision);
    database_.Execute(absl::StrCat(
        "DELETE FROM users; ALTER TABLE users ALTER revision DROP NOT NULL;"
        "INSERT INTO users (user_id, revision) VALUES (1, ",
        revision, "), (2, ", revision, ")"));
    std::int64_t last = 1;
    for (int i = 0; i < 3; ++i) {
      const auto response = store().Upsert(Contact(1));
      ASSERT_TRUE(response.ok()) << response.status();
      EXPECT_FALSE(response->created());
      EXPECT_GT(response->profile().revision(), last);
      last = response->profile().revision();
    }
    const auto completed = store().Complete(Answers(2));
    ASSERT_TRUE(completed.ok()) << completed.status();
    EXPECT_GT(completed->profile().revision(), 1);
    EXPECT_FALSE(store().Upsert(Contact(2))->created());
  }
}

TEST_F(ForeignTableTest, NeverTakesARowThatItMayNotSeeForAnUnknownUser) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  database_.Execute(
      "ALTER TABLE users ENABLE ROW LEVEL SECURITY;"
      "DROP ROLE IF EXISTS reader; CREATE ROLE reader;"
      "GRANT ALL ON users TO reader");
  options_.connect = [this]() -> decltype(options_.connect()) {
    auto session = database_.Connect();
    EXPECT_TRUE(session->ExecuteScript("SET ROLE reader").ok());
    return session;
  };
  PostgresStore impl(options_);
  BlockingStore limited(impl);
  EXPECT_EQ(base::ErrorReason(limited.Get(1).status()), "SCHEMA_NOT_READY");
  database_.Execute("DROP OWNED BY reader; DROP ROLE reader");
}

TEST_F(ForeignTableTest, KnowsATakenNicknameByWhateverIndexThatSaysSo) {
  struct Case {
    const char* sql;
    const char* reason;
  };
  const char* other_columns = "ALTER TABLE users ADD UNIQUE (nickname, phone)";
  for (const Case& c : {
           Case{"CREATE UNIQUE INDEX \"UQ_ab12\" ON users (nickname)",
                "NICKNAME_TAKEN"},
           Case{"ALTER TABLE users ADD CONSTRAINT \"UQ_ab12\" UNIQUE"
                " (nickname)",
                "NICKNAME_TAKEN"},
           // That of the contract as well, which is found second.
           Case{"ALTER TABLE users ADD UNIQUE (nickname);"
                "CREATE UNIQUE INDEX idx_users_nickname ON users (nickname)",
                "NICKNAME_TAKEN"},
           // Inside the message's "unique constraint", too.
           Case{"ALTER TABLE users ADD CONSTRAINT uniq UNIQUE (nickname)",
                "NICKNAME_TAKEN"},
           Case{"CREATE UNIQUE INDEX one ON users (lower(nickname))",
                "NICKNAME_TAKEN"},
           Case{"CREATE UNIQUE INDEX one ON users (nickname) INCLUDE (phone)"
                " WHERE is_active",
                "NICKNAME_TAKEN"},
           Case{"CREATE UNIQUE INDEX nickname ON users (real_name)",
                "ROW_REJECTED"},
           Case{"CREATE UNIQUE INDEX one ON users (lower(nickname || "
                "real_name))",
                "ROW_REJECTED"},
       }) {
    SCOPED_TRACE(c.sql);
    UsersDatabase database;
    database.Execute("DROP INDEX idx_users_nickname");
    database.Execute(c.sql);
    database.Execute(other_columns);
    database.Execute(
        "INSERT INTO users (user_id, nickname, real_name, is_active) VALUES"
        " (1, NULL, NULL, true), (2, 'ada1', 'Ada Lovelace', true)");
    PostgresStoreOptions options;
    options.connect = database.session_factory();
    PostgresStore impl(options);
    BlockingStore store(impl);
    EXPECT_EQ(base::ErrorReason(store.Complete(Answers(1)).status()), c.reason);
  }
}

// What others made for rows that are inserted is nothing to known users.
TEST_F(ForeignTableTest, DoesNotInsertARowForAKnownUser) {
  database_.Execute("INSERT INTO users (user_id) SELECT generate_series(1, 9)");
  for (const char* legacy : {
           "ALTER TABLE users ADD email text, ADD tg_chat text,"
           " ADD CHECK (email IS NOT NULL OR tg_chat IS NOT NULL) NOT VALID;"
           "ALTER TABLE users DISABLE TRIGGER ALL;"
           "UPDATE users SET email = 'x' WHERE user_id < 10",
           "ALTER TABLE users ADD city text NOT NULL DEFAULT 'Tehran';"
           "ALTER TABLE users ALTER city DROP DEFAULT",
           "CREATE TABLE wallets (user_id bigint PRIMARY KEY);"
           "INSERT INTO wallets SELECT user_id FROM users;"
           "INSERT INTO wallets VALUES (101);"
           "CREATE FUNCTION wallet() RETURNS trigger LANGUAGE plpgsql"
           " SET search_path = public AS 'BEGIN INSERT INTO wallets VALUES "
           "(NEW.user_id);"
           " RETURN NEW; END';"
           "CREATE TRIGGER wallet BEFORE INSERT ON users FOR EACH ROW"
           " EXECUTE FUNCTION wallet()",
       }) {
    SCOPED_TRACE(legacy);
    database_.Execute(legacy);
    std::vector<v1::UpsertUserRequest> requests = {Contact(101)};
    for (int user = 1; user <= 9; ++user) requests.push_back(Contact(user));
    const auto responses = store().UpsertAll(requests);
    EXPECT_EQ(base::ErrorReason(responses[0].status()), "ROW_REJECTED");
    for (int user = 1; user <= 9; ++user) {
      ASSERT_TRUE(responses[user].ok()) << responses[user].status();
      EXPECT_FALSE(responses[user]->created());
    }
    database_.Execute(
        "ALTER TABLE users DROP IF EXISTS email, DROP IF EXISTS tg_chat,"
        " DROP IF EXISTS city");
  }
}

TEST_F(ForeignTableTest, DrawsNoNumberFromASequenceForAKnownUser) {
  database_.Execute("ALTER TABLE users ADD number serial");
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  EXPECT_EQ(Count("SELECT last_value FROM users_number_seq"), 1);
}

TEST_F(ForeignTableTest, NeverCallsAKnownUserCreatedWhateverATriggerWrites) {
  ASSERT_TRUE(store().Upsert(Contact(1))->created());
  database_.Execute(
      "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN NEW.revision := 1; RETURN NEW; END';"
      "CREATE TRIGGER meddle BEFORE UPDATE ON users FOR EACH ROW"
      " EXECUTE FUNCTION meddle()");
  EXPECT_FALSE(store().Upsert(Contact(1))->created());
  EXPECT_TRUE(store().Upsert(Contact(2))->created());
}

TEST_F(ForeignTableTest, SaysThatATriggerSwallowsTheUpdateOfAKnownUser) {
  database_.Execute("INSERT INTO users (user_id) VALUES (7)");
  Swallow("UPDATE");
  ExpectOnlyRejected(7);
}

TEST_F(ForeignTableTest, ForgivesTimesThatLieInTheFuture) {
  database_.Execute(
      "INSERT INTO users (user_id, first_name, last_activity, last_seen_at)"
      " VALUES (1, 'Old', now() + '9 years', now() + '9 years'),"
      " (2, 'Old', now() + '1 minute', now() + '1 minute')");
  const absl::Time event = absl::FromUnixSeconds(1'700'000'000);
  for (const int user : {1, 2}) {
    v1::UpsertUserRequest request = Contact(user, "New");
    SetTimestamp(event, request.mutable_occurred_at());
    const v1::Profile profile = store().Upsert(request)->profile();
    EXPECT_EQ(profile.first_name(), user == 1 ? "New" : "Old");
    EXPECT_EQ(FromTimestamp(profile.last_activity()) == event, user == 1);
    EXPECT_LT(FromTimestamp(profile.last_seen_at()),
              absl::Now() + absl::Minutes(2));
  }
}

// Not as if the database were away, and not for as long as callers wait.
TEST_F(ForeignTableTest, SaysThatPostgresRefusesWhatUsersBecame) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  const std::pair<const char*, const char*> cases[] = {
      {"CREATE RULE quiet AS ON UPDATE TO users DO INSTEAD NOTHING",
       "STATEMENT_REFUSED"},
      {"DROP RULE quiet ON users; ALTER TABLE users RENAME TO people;"
       "CREATE VIEW users AS SELECT DISTINCT * FROM people",
       "SCHEMA_NOT_READY"},
  };
  for (const auto& [change, reason] : cases) {
    database_.Execute(change);
    for (int i = 0; i < 3; ++i) {
      const absl::Status status = store().Upsert(Contact(1)).status();
      EXPECT_EQ(base::ErrorReason(status), reason) << change << status;
    }
  }
}

// As others may have written them: they hide nobody, and fail no list.
TEST_F(ForeignTableTest, AttributesThatAreNoObjectAreNone) {
  for (const auto& response : UpsertMany(6)) ASSERT_TRUE(response.ok());
  database_.Execute(
      "UPDATE users SET attributes = a::jsonb FROM (VALUES (1, '[\"city\"]'),"
      " (2, '\"city\"'), (3, '1'), (4, 'null'), (5, '{\"city\": null}'))"
      " AS odd (id, a) WHERE user_id = id");
  v1::ProfileFilter filter;
  auto& city = (*filter.mutable_attributes()->mutable_fields())["city"];
  for (const bool without : {false, true}) {
    if (without) {
      city.set_null_value({});
    } else {
      city.set_string_value("Shiraz");
    }
    ScanCall::Result result;
    std::promise<absl::Status> done;
    store();
    impl_->Scan({filter, 0, 100, 0, nullptr, &result}, {},
                [&](absl::Status status) { done.set_value(status); });
    ASSERT_TRUE(done.get_future().get().ok());
    EXPECT_EQ(result.count, without ? 6 : 0);
  }
}

}  // namespace
}  // namespace userprofile::store
