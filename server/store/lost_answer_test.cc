// What the store makes of a write whose answer it never got, and of users whom
// it does not find where another primary may know them.

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/postgres/errors.h"
#include "server/postgres/forwarding_session.h"
#include "server/postgres/watchdog.h"
#include "server/schema/migrator.h"
#include "server/store/testing/postgres_store_fixture.h"
#include "tests/support/replicated_database.h"

namespace userprofile::store {
namespace {

using ::userprofile::testing::ReplicatedDatabase;

// A session that is lost right after one of its statements took effect: for the
// first ones of that name in the whole store.
class LosingSession final : public postgres::ForwardingSession {
 public:
  LosingSession(std::unique_ptr<postgres::Session> session,
                absl::string_view statement, std::atomic<int>& losses)
      : ForwardingSession(std::move(session)),
        statement_(statement),
        losses_(losses) {}

  absl::StatusOr<postgres::Rows> Execute(
      const postgres::Statement& statement,
      const postgres::Parameters& parameters) override {
    auto rows = session().Execute(statement, parameters);
    if (statement.name != statement_ || losses_-- <= 0) return rows;
    lost_ = true;
    return postgres::ConnectionLost("on its way");
  }
  bool healthy() override { return !lost_; }
  bool lost() override { return lost_; }

 private:
  const absl::string_view statement_;
  std::atomic<int>& losses_;
  bool lost_ = false;
};

class LostAnswerTest : public PostgresStoreTest {
 protected:
  LostAnswerTest() {
    // Each try at a time of its own, as it is outside of tests.
    options_.clock = [this] { return start_ + absl::Microseconds(++ticks_); };
  }

  void LoseAnswersTo(absl::string_view statement, int losses) {
    losses_ = losses;
    options_.connect =
        [this, connect = database_.session_factory(),
         statement]() -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
      USERPROFILE_ASSIGN_OR_RETURN(auto session, connect());
      return std::make_unique<LosingSession>(std::move(session), statement,
                                             losses_);
    };
  }

  const absl::Time start_ = absl::Now();
  std::atomic<int> ticks_ = 0;
  std::atomic<int> losses_ = 0;
};

TEST_F(LostAnswerTest, ToAFirstContactStillMeansThatItCreatedTheUser) {
  for (const int losses : {1, 2, 3}) {
    impl_.reset();
    LoseAnswersTo("insert_users", losses);
    const auto response = store().Upsert(Contact(losses));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_TRUE(response->created()) << losses;
    EXPECT_FALSE(store().Upsert(Contact(losses))->created());
  }
}

TEST_F(LostAnswerTest, ToALaterContactDoesNotCreateTheUserAgain) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  impl_.reset();
  LoseAnswersTo("update_users", 2);
  const auto response = store().Upsert(Contact(1));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_FALSE(response->created());
}

TEST_F(LostAnswerTest, ToAnOnboardingDoesNotMakeItOneThatWasDoneBefore) {
  LoseAnswersTo("edit_users", 2);
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  const auto made = store().Complete(Answers(1));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_FALSE(made->already_completed());
  EXPECT_EQ(made->profile().revision(), 2);
  const auto again = store().Complete(Answers(1));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->already_completed());
  auto others = Answers(1);
  others.mutable_answers()->set_real_name("Augusta Ada King");
  EXPECT_EQ(base::ErrorReason(store().Complete(others).status()),
            "ALREADY_ONBOARDED");
}

TEST_F(LostAnswerTest, ToAnUpdateIsNotAnotherRevision) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  impl_.reset();
  LoseAnswersTo("edit_users", 2);
  v1::UpdateProfileRequest request;
  request.mutable_profile()->set_user_id(1);
  request.mutable_profile()->set_grade_year("12");
  request.set_expected_revision(1);
  const auto updated = store().Update(request);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->profile().revision(), 2);
}

TEST_F(LostAnswerTest, ToADeletionMeansThatTheUserIsDeleted) {
  ASSERT_TRUE(store().Upsert(Contact(1)).ok());
  impl_.reset();
  LoseAnswersTo("delete_users", 2);
  v1::DeleteUserRequest request;
  request.set_user_id(1);
  request.set_expected_revision(1);
  const auto deleted = store().Delete(request);
  EXPECT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_TRUE(absl::IsNotFound(store().Get(1).status()));
}

class LostSessionAnswerTest : public LostAnswerTest {
 protected:
  absl::StatusOr<v1::PutSessionResponse> Put(const std::string& value,
                                             std::int64_t expected_revision) {
    v1::PutSessionRequest request;
    request.mutable_session()->set_bot("shop");
    request.mutable_session()->set_key("chat:7");
    request.mutable_session()->set_value(value);
    request.set_expected_revision(expected_revision);
    return store().PutSession(request);
  }

  v1::Session Get() {
    v1::GetSessionRequest request;
    request.set_bot("shop");
    request.set_key("chat:7");
    const auto got = store().GetSession(request);
    EXPECT_TRUE(got.ok()) << got.status();
    return got.ok() ? got->session() : v1::Session();
  }
};

// Its own write is not another's, which would be a mismatch.
TEST_F(LostSessionAnswerTest, ToAPutIsNotAnotherRevision) {
  LoseAnswersTo("insert_sessions", 2);
  const auto first = Put("1", 0);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_LT(losses_, 2);
  EXPECT_EQ(Get().revision(), first->revision());

  impl_.reset();
  LoseAnswersTo("write_sessions", 2);
  const auto second = Put("2", first->revision());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_LE(losses_, 0);
  EXPECT_GT(second->revision(), first->revision());
  const v1::Session stored = Get();
  EXPECT_EQ(stored.value(), "2");
  EXPECT_EQ(stored.revision(), second->revision());
  EXPECT_EQ(stored.updated_at().nanos(), second->updated_at().nanos());

  EXPECT_TRUE(absl::IsAborted(Put("3", first->revision()).status()));
}

TEST_F(LostSessionAnswerTest, ToADeletionMeansThatTheSessionIsDeleted) {
  const auto put = Put("1", 0);
  ASSERT_TRUE(put.ok()) << put.status();
  impl_.reset();
  LoseAnswersTo("write_sessions", 2);
  v1::DeleteSessionRequest request;
  request.set_bot("shop");
  request.set_key("chat:7");
  request.set_expected_revision(put->revision());
  const auto deleted = store().DeleteSession(request);
  EXPECT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(base::ErrorReason(store().DeleteSession(request).status()),
            "SESSION_NOT_FOUND");
}

// A primary whose standby was promoted.
class DeposedPrimaryTest : public PostgresStoreTest {
 protected:
  DeposedPrimaryTest() {
    postgres::ConnectOptions options;
    options.conninfo = replicated_.primary();
    options.answer_timeout = absl::Seconds(1);
    options.watchdog = std::make_shared<postgres::Watchdog>();
    options_.connect = [options] { return postgres::Connect(options); };
    const auto migrated = schema::Migrate(options_.connect);
    EXPECT_TRUE(migrated.ok()) << migrated.status();
  }

  static CallContext InTwoSeconds() {
    return {base::SteadyTime::Now() + absl::Seconds(2), {}};
  }

  ReplicatedDatabase replicated_;
};

TEST_F(DeposedPrimaryTest, TellsOfNobodyThatHeIsNotThere) {
  v1::UpsertUserRequest contact = Contact(1);
  contact.mutable_identity()->set_username("ada");
  ASSERT_TRUE(store().Upsert(contact).ok());
  EXPECT_TRUE(absl::IsNotFound(store().LookupUsername("nobody").status()));
  EXPECT_TRUE(absl::IsNotFound(store().Get(2).status()));
  EXPECT_TRUE(absl::IsNotFound(store().Complete(Answers(2)).status()));
  v1::GetSessionRequest session;
  session.set_bot("shop");
  session.set_key("chat:7");
  EXPECT_TRUE(absl::IsNotFound(store().GetSession(session).status()));
  replicated_.PromoteStandby();

  for (const absl::Status& status :
       {store().Get(2, InTwoSeconds()).status(),
        store().GetMany({1, 2}, InTwoSeconds()).status(),
        store().LookupUsername("nobody", InTwoSeconds()).status(),
        store().Complete(Answers(2), InTwoSeconds()).status(),
        store().GetSession(session, InTwoSeconds()).status()}) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  }
  // It does not keep those waiting who are known.
  const auto known = store().Get(1, InTwoSeconds());
  EXPECT_TRUE(known.ok()) << known.status();
  const auto found = store().LookupUsername("Ada", InTwoSeconds());
  EXPECT_TRUE(found.ok()) << found.status();
  const auto all_known = store().GetMany({1, 1}, InTwoSeconds());
  EXPECT_TRUE(all_known.ok()) << all_known.status();
}

TEST_F(PostgresStoreTest, ManyWhoAreNotThereShareACommit) {
  std::atomic<int> commits = 0;
  Watch(
      [&](const postgres::Statement& statement, postgres::Session&) {
        if (absl::string_view(statement.name) == "confirm_primary") ++commits;
      },
      nullptr);
  store();
  constexpr int kUsers = 500;
  std::vector<std::promise<absl::Status>> outcomes(kUsers);
  v1::Profile nobody;
  for (int i = 0; i < kUsers; ++i) {
    impl_->Read({{i + 1},
                 [&](std::int64_t) { return &nobody; },
                 /*all_must_exist=*/true},
                {}, [&outcomes, i](absl::Status status) {
                  outcomes[i].set_value(std::move(status));
                });
  }
  for (auto& outcome : outcomes) {
    EXPECT_TRUE(absl::IsNotFound(outcome.get_future().get()));
  }
  EXPECT_GE(commits, kUsers / 256);
  EXPECT_LT(commits, kUsers / 4);

  commits = 0;
  EXPECT_EQ(store().GetMany({1, 2, 3, 4, 5})->missing_user_ids_size(), 5);
  EXPECT_EQ(commits, 1);
}

}  // namespace
}  // namespace userprofile::store
