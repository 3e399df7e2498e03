// How PostgreSQL plans what PostgresStore runs.

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "server/store/changes.h"
#include "server/store/statements.h"
#include "server/store/testing/postgres_store_fixture.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

using ::testing::AllOf;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::Not;

// So that batches can't deadlock; nor with a plan for a table of another size.
TEST_F(PostgresStoreTest, LooksUpEachContactByKeyInItsOrder) {
  std::string arrays;
  for (std::size_t i = 0; i < users::IdentityTexts().size() + 4; ++i) {
    arrays += "'{}', ";
  }
  for (const int users : {0, 1, 3, 1000}) {
    database_.Execute("TRUNCATE users");
    database_.Execute(absl::StrCat(
        "INSERT INTO users (user_id) SELECT generate_series(1, ", users, ")"));
    database_.Execute("VACUUM ANALYZE users");
    for (const auto& [statement, interval] :
         {std::pair(&kUpdateUsers, ""), std::pair(&kInsertUsers, ""),
          std::pair(&kUpdateChangedUsers, ", '1 s'")}) {
      const auto session = database_.Connect();
      const auto plan = session->ExecuteScript(absl::StrCat(
          "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;"
          "PREPARE s AS ",
          statement->sql, "; EXPLAIN EXECUTE s (", arrays, "now()", interval,
          ")"));
      ASSERT_TRUE(plan.ok()) << plan.status();
      std::string text;
      int scans = 0;
      int look_ups = 0;
      for (std::size_t row = 0; row < plan->size(); ++row) {
        const absl::string_view line = plan->Text(row, 0);
        absl::StrAppend(&text, line, "\n");
        scans += absl::StrContains(line, "Scan") &&
                 absl::StrContains(line, " on users");
        look_ups +=
            absl::StrContains(line, "Index Cond: (user_id = ANY (ARRAY[c");
      }
      EXPECT_EQ(scans, *interval == '\0' ? 1 : 2) << users << "\n" << text;
      EXPECT_EQ(look_ups, scans) << users << "\n" << text;
    }
  }
}

// By its index, whatever the size of the table that the plan was made for.
TEST_F(PostgresStoreTest, LooksUpEachNameByItsIndex) {
  for (const int users : {0, 1, 3, 1000}) {
    database_.Execute("TRUNCATE users");
    database_.Execute(absl::StrCat(
        "INSERT INTO users (user_id, username, nickname)"
        " SELECT n, 'u' || n % 500, 'n' || n FROM generate_series(1, ",
        users, ") AS n"));
    database_.Execute("VACUUM ANALYZE users");
    for (const std::string column : {"username", "nickname"}) {
      const auto session = database_.Connect();
      const auto plan = session->ExecuteScript(absl::StrCat(
          "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;"
          "PREPARE s AS ",
          FindBy(column).sql, "; EXPLAIN EXECUTE s ('{}', 11)"));
      ASSERT_TRUE(plan.ok()) << plan.status();
      std::string text;
      for (std::size_t row = 0; row < plan->size(); ++row) {
        absl::StrAppend(&text, plan->Text(row, 0), "\n");
      }
      EXPECT_THAT(text,
                  AllOf(HasSubstr("idx_users_" + column),
                        HasSubstr("Index Cond: ("), Not(HasSubstr("Seq Scan"))))
          << users;
    }
  }
}

// From one to the next by the primary key, and their users one by one.
TEST_F(PostgresStoreTest, ReadsChangesByTheirKeys) {
  for (const int changes : {0, 3, 1000}) {
    database_.Execute("TRUNCATE users");
    database_.Execute("TRUNCATE userprofile_changes");
    database_.Execute(
        absl::StrCat("INSERT INTO users (user_id) SELECT generate_series(1, ",
                     changes, ")"));
    database_.Execute(absl::StrCat(
        "INSERT INTO userprofile_changes (user_id, revision, kind, changed_at)"
        " SELECT n, 1, 'w', now() FROM generate_series(1, ",
        changes, ") AS n"));
    database_.Execute("VACUUM ANALYZE users");
    database_.Execute("VACUUM ANALYZE userprofile_changes");
    const auto session = database_.Connect();
    const auto plan = session->ExecuteScript(absl::StrCat(
        "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan",
        ChangesSettings(), "; PREPARE s AS ", kReadChanges.sql,
        "; EXPLAIN EXECUTE s (0::text::xid8, 0, true, NULL, 's', NULL, NULL, "
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{\"a\": 1}', 0, "
        "'place', 200, false)"));
    ASSERT_TRUE(plan.ok()) << plan.status();
    std::string text;
    for (std::size_t row = 0; row < plan->size(); ++row) {
      absl::StrAppend(&text, plan->Text(row, 0), "\n");
    }
    EXPECT_THAT(text, AllOf(HasSubstr("userprofile_changes_pkey"),
                            HasSubstr("Index Cond: (user_id = ANY (ARRAY[page"),
                            Not(HasSubstr("Seq Scan")), Not(HasSubstr("JIT"))))
        << changes;
  }
}

// From where it begins to where it ends, in the order of the primary key: no
// page costs more for those before it.
TEST_F(PostgresStoreTest, GoesThroughUsersByThePrimaryKey) {
  for (const int users : {0, 1, 3, 1000}) {
    database_.Execute("TRUNCATE users");
    database_.Execute(absl::StrCat(
        "INSERT INTO users (user_id, onboarding_completed, study_track)"
        " SELECT n, n % 100 = 0, 's' || n FROM generate_series(1, ",
        users, ") AS n"));
    database_.Execute("VACUUM ANALYZE users");
    for (const auto& [statement, most_found] :
         {std::pair(&kListProfiles, ", 100"), std::pair(&kCountProfiles, "")}) {
      const auto session = database_.Connect();
      const auto plan = session->ExecuteScript(absl::StrCat(
          "SET enable_seqscan = off; SET enable_bitmapscan = off;"
          "SET plan_cache_mode = force_generic_plan; PREPARE s AS ",
          statement->sql, "; EXPLAIN EXECUTE s (0, 100, true, NULL, 's', NULL,",
          " NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,",
          " '{\"a\": 1}'", most_found, ")"));
      ASSERT_TRUE(plan.ok()) << plan.status();
      std::string text;
      int scans = 0;
      int by_key = 0;
      for (std::size_t row = 0; row < plan->size(); ++row) {
        const absl::string_view line = plan->Text(row, 0);
        absl::StrAppend(&text, line, "\n");
        scans += absl::StrContains(line, " on users");
        by_key += absl::StrContains(line, "Index Cond: ((user_id > $1)") ||
                  absl::StrContains(line, "Index Cond: (user_id > ");
      }
      EXPECT_EQ(scans, 2) << users << "\n" << text;
      EXPECT_EQ(by_key, scans) << users << "\n" << text;
      EXPECT_THAT(text, Not(HasSubstr("idx_users"))) << users;
      EXPECT_THAT(text, Not(HasSubstr("Sort"))) << users;
    }
  }
}

// Nor does a table that grew since the statement was planned make it read all.
TEST_F(PostgresStoreTest, APageReadsNoMoreThanItself) {
  const auto look = [&](std::int64_t after) {
    v1::ProfileFilter filter;
    filter.set_is_active(true);
    google::protobuf::RepeatedPtrField<v1::Profile> profiles;
    ScanCall::Result result;
    std::promise<absl::Status> done;
    impl_->Scan({filter, after, 200, 100, &profiles, &result}, {},
                [&](absl::Status status) { done.set_value(status); });
    ASSERT_TRUE(done.get_future().get().ok());
  };
  ASSERT_FALSE(store().Get(1).ok());
  look(0);
  database_.Execute(
      "ALTER TABLE users SET (autovacuum_enabled = off);"
      "INSERT INTO users (user_id) SELECT generate_series(1, 20000)");
  for (int i = 0; i < 10; ++i) look(19'000);
  store_.reset();
  impl_.reset();  // its sessions report their statistics as they end
  EXPECT_THAT(database_.AwaitStatistic("idx_tup_fetch", 1000),
              AllOf(Ge(1000), Lt(4000)));
  EXPECT_EQ(database_.AwaitStatistic("seq_tup_read", 0), 0);
}

// An index on what a contact may change, but seldom does.
TEST_F(PostgresStoreTest, ContactsThatKeepTheUsernameWriteNoIndex) {
  const auto contacts = [](int n, const std::string& name) {
    std::vector<v1::UpsertUserRequest> requests;
    for (int user = 1; user <= n; ++user) {
      requests.push_back(Contact(user));
      requests.back().mutable_identity()->set_username(
          absl::StrCat(name, user));
    }
    return requests;
  };
  constexpr int kUsers = 50;
  database_.Execute("ALTER TABLE users SET (fillfactor = 10)");
  for (const char* name : {"name", "name", "other"}) {
    for (const auto& response : store().UpsertAll(contacts(kUsers, name))) {
      ASSERT_TRUE(response.ok()) << response.status();
    }
  }
  store_.reset();
  impl_.reset();  // its sessions report their statistics as they end
  EXPECT_EQ(database_.AwaitStatistic("n_tup_upd", 2 * kUsers), 2 * kUsers);
  // Of those, who kept their names, and nobody else.
  EXPECT_EQ(database_.AwaitStatistic("n_tup_hot_upd", kUsers), kUsers);
}

TEST_F(PostgresStoreTest, DoesNotScanATableThatGrewSinceTheFirstStatement) {
  for (int i = 0; i < 10; ++i) ASSERT_FALSE(store().Get(1).ok());
  database_.Execute(
      "ALTER TABLE users SET (autovacuum_enabled = off);"
      "INSERT INTO users (user_id) SELECT generate_series(1, 20000)");
  for (int i = 1; i <= 20; ++i) ASSERT_TRUE(store().Get(i).ok());
  impl_->Shutdown(base::SteadyTime::InfiniteFuture());
  impl_.reset();  // its sessions report their statistics as they end
  EXPECT_GE(database_.AwaitStatistic("idx_scan", 20), 20);
  EXPECT_EQ(database_.AwaitStatistic("seq_tup_read", 0), 0);
}

TEST_F(PostgresStoreTest, CompletesByKeyThoughItsPlanIsOfASmallTable) {
  database_.Execute(
      "ALTER TABLE users SET (autovacuum_enabled = off);"
      "INSERT INTO users (user_id) SELECT generate_series(1, 200);"
      "ANALYZE users");
  ASSERT_TRUE(store().Complete(Answers(1)).ok());
  database_.Execute(
      "INSERT INTO users (user_id) SELECT generate_series(201, 20000)");
  for (int i = 2; i <= 20; ++i) ASSERT_TRUE(store().Complete(Answers(i)).ok());
  for (int i = 2; i <= 20; ++i) {
    v1::DeleteUserRequest request;
    request.set_user_id(i);
    ASSERT_TRUE(store().Delete(request).ok());
  }
  impl_->Shutdown(base::SteadyTime::InfiniteFuture());
  impl_.reset();  // its sessions report their statistics as they end
  EXPECT_THAT(database_.AwaitStatistic("idx_tup_fetch", 20),
              AllOf(Ge(20), Lt(10000)));
}

TEST_F(PostgresStoreTest, PlansNoStatementForTheValuesAtHand) {
  std::string plans;  // of the session that ran the last statement
  Watch(nullptr, [&](const auto&, postgres::Session& session) {
    plans = std::string(
        session
            .ExecuteScript(
                "SELECT sum(custom_plans) || ' custom, ' ||"
                " least(sum(generic_plans), 1) FROM pg_prepared_statements")
            ->Text(0, 0));
  });
  options_.read_workers = 1;
  options_.upsert_workers = 1;
  options_.edit_workers = 1;
  for (const absl::Duration interval :
       {absl::ZeroDuration(), absl::Seconds(60)}) {
    options_.contact_interval = interval;
    store_.reset();
    impl_.reset();
    for (int i = 1; i <= 3; ++i) {
      ASSERT_TRUE(store().Upsert(Contact(1)).ok());
      EXPECT_EQ(plans, "0 custom, 1") << interval;
    }
  }
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(store().Get(1).ok());
    EXPECT_EQ(plans, "0 custom, 1") << "reads";
  }
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(store().Complete(Answers(1)).ok());
    EXPECT_EQ(plans, "0 custom, 1") << "onboarding";
  }
  for (int i = 1; i <= 3; ++i) {
    v1::DeleteUserRequest request;
    request.set_user_id(1);
    ASSERT_TRUE(store().Delete(request).ok());
    EXPECT_EQ(plans, "0 custom, 1") << "deletions";
    ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  }
  database_.Execute("UPDATE users SET username = 'ada'");
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(store().LookupUsername("ada").ok());
    EXPECT_EQ(plans, "0 custom, 1") << "look-ups";
  }
  for (int i = 1; i <= 3; ++i) {
    const v1::ProfileFilter none;
    google::protobuf::RepeatedPtrField<v1::Profile> profiles;
    ScanCall::Result result;
    std::promise<absl::Status> done;
    impl_->Scan({none, 0, 10, 10, &profiles, &result}, {},
                [&](absl::Status status) { done.set_value(status); });
    ASSERT_TRUE(done.get_future().get().ok());
    EXPECT_EQ(plans, "0 custom, 1") << "scans";
  }
}

}  // namespace
}  // namespace userprofile::store
