// What PostgresStore's lane of edits does where PostgreSQL refuses, or its
// answer is lost. See lost_answer_test.cc for what goes before.

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "server/store/testing/postgres_store_fixture.h"

namespace userprofile::store {
namespace {

class EditsTest : public PostgresStoreTest {
 protected:
  static v1::DeleteUserRequest Delete(std::int64_t user_id) {
    v1::DeleteUserRequest request;
    request.set_user_id(user_id);
    return request;
  }
};

TEST_F(EditsTest, SaysThatTheRoleMayNotDelete) {
  ASSERT_TRUE(UpsertMany(2)[0].ok());
  database_.Execute(
      "DROP ROLE IF EXISTS edits_test_role; CREATE ROLE edits_test_role;"
      " GRANT SELECT, INSERT, UPDATE ON users TO edits_test_role;"
      " GRANT INSERT ON userprofile_changes TO edits_test_role");
  Watch(nullptr, nullptr);
  options_.connect = [connect = options_.connect]()
      -> absl::StatusOr<std::unique_ptr<postgres::Session>> {
    USERPROFILE_ASSIGN_OR_RETURN(auto session, connect());
    USERPROFILE_RETURN_IF_ERROR(
        session->ExecuteScript("SET ROLE edits_test_role").status());
    return session;
  };
  impl_.reset();
  const absl::Status refused = store().Delete(Delete(1)).status();
  EXPECT_EQ(base::ErrorReason(refused), "STATEMENT_REFUSED") << refused;
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("DELETE"));
  EXPECT_TRUE(store().Complete(Answers(1)).ok());
  EXPECT_TRUE(store().Get(1).ok());
  impl_.reset();
  AwaitSessions("", 0);
  database_.Execute("DROP OWNED BY edits_test_role; DROP ROLE edits_test_role");
}

TEST_F(EditsTest, OnlyTheUserIsKeptWhomAnotherTableRefersTo) {
  for (const auto& response : UpsertMany(20)) ASSERT_TRUE(response.ok());
  database_.Execute(
      "CREATE TABLE orders (user_id bigint REFERENCES users);"
      " INSERT INTO orders VALUES (7)");
  std::vector<v1::DeleteUserRequest> requests;
  for (int user = 1; user <= 20; ++user) requests.push_back(Delete(user));
  const auto responses = store().DeleteAll(requests);
  for (int user = 1; user <= 20; ++user) {
    const absl::Status status = responses[user - 1].status();
    if (user == 7) {
      EXPECT_EQ(base::ErrorReason(status), "ROW_REJECTED") << status;
    } else {
      EXPECT_TRUE(status.ok()) << status;
    }
  }
  EXPECT_EQ(Count("SELECT sum(user_id) FROM users"), 7);
}

TEST_F(EditsTest, ReportsARowThatATriggerKeeps) {
  ASSERT_TRUE(UpsertMany(1)[0].ok());
  database_.Execute(
      "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
      " 'BEGIN RETURN NULL; END';"
      "CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON users FOR EACH ROW"
      " EXECUTE FUNCTION keep()");
  EXPECT_EQ(base::ErrorReason(store().Delete(Delete(1)).status()),
            "ROW_REJECTED");
  v1::UpdateProfileRequest update;
  update.mutable_profile()->set_user_id(1);
  update.mutable_profile()->set_grade_year("12");
  EXPECT_EQ(base::ErrorReason(store().Update(update).status()), "ROW_REJECTED");
}

TEST_F(EditsTest, ADeletionDoesNotHitTheUserWhoCameBackMeanwhile) {
  ASSERT_TRUE(UpsertMany(1)[0].ok());
  // Somebody else deletes the user, who then is a stranger, before the
  // deletion.
  bool first = true;
  std::atomic<bool> confirmed = false;
  Watch(
      [&](const postgres::Statement& statement, postgres::Session&) {
        if (statement.name == std::string("confirm_primary")) confirmed = true;
        if (statement.name != std::string("delete_users")) return;
        if (!std::exchange(first, false)) return;
        database_.Execute(
            "DELETE FROM users; INSERT INTO users (user_id, created_at)"
            " VALUES (1, now() AT TIME ZONE 'UTC' + interval '1 s')");
      },
      nullptr);
  impl_.reset();
  EXPECT_TRUE(store().Delete(Delete(1)).ok());
  EXPECT_FALSE(first);
  // For it is not known where the other's commit has arrived.
  EXPECT_TRUE(confirmed);
  EXPECT_TRUE(store().Get(1).ok());
}

TEST_F(EditsTest, ADeletionThatFailsLetsNoEditGoAgain) {
  for (const auto& response : UpsertMany(10)) ASSERT_TRUE(response.ok());
  database_.Execute(
      "CREATE TABLE orders (user_id bigint REFERENCES users);"
      " INSERT INTO orders VALUES (7)");
  std::atomic<int> edits = 0;
  Watch(
      [&](const postgres::Statement& statement, postgres::Session&) {
        if (statement.name == std::string("edit_users")) ++edits;
      },
      nullptr);
  impl_.reset();
  store();
  std::vector<v1::UpdateProfileRequest> updates(11);
  std::vector<v1::UpdateProfileResponse> updated(11);
  const v1::DeleteUserRequest deletes = Delete(7);
  v1::DeleteUserResponse deleted;
  std::vector<std::promise<absl::Status>> answers(11);
  const auto submit = [&](int user) {
    const auto done = [&answer = answers[user]](absl::Status status) {
      answer.set_value(std::move(status));
    };
    if (user == 7) return impl_->DeleteUser(deletes, &deleted, {}, done);
    updates[user].mutable_profile()->set_user_id(user);
    updates[user].mutable_profile()->set_grade_year("12");
    impl_->UpdateProfile(updates[user], &updated[user], {}, done);
  };
  // So that the others have to wait, and become a batch.
  const auto holder = database_.Connect();
  ASSERT_TRUE(holder
                  ->ExecuteScript("BEGIN; SELECT FROM public.users WHERE "
                                  "user_id = 1 FOR UPDATE")
                  .ok());
  submit(1);
  AwaitSessions(" AND wait_event_type = 'Lock'", 1);
  for (int user = 2; user <= 10; ++user) submit(user);
  ASSERT_TRUE(holder->ExecuteScript("ROLLBACK").ok());
  for (int user = 1; user <= 10; ++user) {
    const absl::Status status = answers[user].get_future().get();
    EXPECT_EQ(status.ok(), user != 7) << user << ": " << status;
  }
  EXPECT_EQ(edits, 2);
}

}  // namespace
}  // namespace userprofile::store
