// What PostgresStore does with contacts that change nothing, where it need not
// write each of them. What holds with and without is in conformance_test.cc.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "server/store/postgres_store.h"
#include "server/store/profile_rows.h"
#include "server/store/testing/blocking_store.h"
#include "server/store/testing/users_database.h"
#include "tests/support/program.h"

namespace userprofile::store {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::AllOf;
using ::testing::Ge;
using ::testing::Lt;

constexpr std::int64_t kUser = 12345;
constexpr absl::Duration kInterval = absl::Seconds(60);
const absl::Time kNow = absl::FromUnixMicros(1'700'000'000'123'456);

class ContactIntervalTest : public ::testing::Test {
 protected:
  ContactIntervalTest() {
    options_.connect = database_.session_factory();
    options_.contact_interval = kInterval;
    options_.clock = [this] { return absl::FromUnixMicros(now_); };
    impl_ = std::make_unique<PostgresStore>(options_);
    store_ = std::make_unique<BlockingStore>(*impl_);
  }

  void Advance(absl::Duration d) { now_ += absl::ToInt64Microseconds(d); }

  v1::UpsertUserRequest Contact(std::int64_t user_id = kUser) {
    v1::UpsertUserRequest request;
    request.set_user_id(user_id);
    request.mutable_identity()->set_first_name("Test");
    request.mutable_identity()->set_username("test");
    SetTimestamp(absl::FromUnixMicros(now_), request.mutable_occurred_at());
    return request;
  }

  v1::UpsertUserResponse Upsert(const v1::UpsertUserRequest& request) {
    const auto response = store_->Upsert(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : v1::UpsertUserResponse();
  }

  // A user whom the next contact finds as the last one left them.
  v1::Profile Known() {
    EXPECT_TRUE(Upsert(Contact()).created());
    return Upsert(Contact()).profile();
  }

  // Which version of their row the table holds.
  std::string Version(std::int64_t user_id = kUser) {
    const postgres::Rows rows = database_.Execute(absl::StrCat(
        "SELECT xmin || ' ' || ctid FROM users WHERE user_id = ", user_id));
    return std::string(rows.Text(0, 0));
  }

  std::atomic<std::int64_t> now_ = absl::ToUnixMicros(kNow);
  UsersDatabase database_;
  PostgresStoreOptions options_;
  std::unique_ptr<PostgresStore> impl_;
  std::unique_ptr<BlockingStore> store_;
};

TEST_F(ContactIntervalTest, WritesNothingForAContactThatChangesNothing) {
  const v1::Profile before = Known();
  const std::string version = Version();
  Advance(kInterval - absl::Microseconds(1));
  const v1::UpsertUserResponse response = Upsert(Contact());
  EXPECT_FALSE(response.created());
  EXPECT_TRUE(MessageDifferencer::Equals(response.profile(), before))
      << response.DebugString();
  EXPECT_EQ(Version(), version);
}

TEST_F(ContactIntervalTest, WritesTheSecondContactSoThatOneSeesRevision1) {
  EXPECT_EQ(Upsert(Contact()).profile().revision(), 1);
  const v1::UpsertUserResponse second = Upsert(Contact());
  EXPECT_FALSE(second.created());
  EXPECT_EQ(second.profile().revision(), 2);
}

TEST_F(ContactIntervalTest, WritesOnceTheIntervalIsOver) {
  Known();
  Advance(kInterval);
  const v1::Profile profile = Upsert(Contact()).profile();
  EXPECT_EQ(profile.revision(), 3);
  EXPECT_EQ(FromTimestamp(profile.last_seen_at()), kNow + kInterval);
  EXPECT_EQ(FromTimestamp(profile.last_activity()), kNow + kInterval);
}

TEST_F(ContactIntervalTest, WritesALateEventOnceTheIntervalIsOver) {
  Known();
  v1::UpsertUserRequest late = Contact();
  SetTimestamp(kNow, late.mutable_occurred_at());
  Advance(kInterval);
  const v1::Profile profile = Upsert(late).profile();
  EXPECT_EQ(profile.revision(), 3);
  EXPECT_EQ(FromTimestamp(profile.last_seen_at()), kNow + kInterval);
  EXPECT_EQ(FromTimestamp(profile.last_activity()), kNow);
}

TEST_F(ContactIntervalTest, WritesAnEventThatIsNewerByTheInterval) {
  v1::UpsertUserRequest old = Contact();
  SetTimestamp(kNow - kInterval, old.mutable_occurred_at());
  Upsert(old);
  Upsert(old);
  const std::string version = Version();
  Upsert(old);
  EXPECT_EQ(Version(), version);
  const v1::Profile profile = Upsert(Contact()).profile();
  EXPECT_EQ(profile.revision(), 3);
  EXPECT_EQ(FromTimestamp(profile.last_activity()), kNow);
}

TEST_F(ContactIntervalTest, WritesEachChange) {
  Known();
  std::vector<v1::UpsertUserRequest> changes(6, Contact());
  changes[0].mutable_identity()->set_first_name("Other");
  changes[1].mutable_identity()->set_last_name("Lovelace");
  changes[2].mutable_identity()->set_username("other");
  changes[3].mutable_identity()->set_username("");
  changes[4].mutable_identity()->set_language_code("en");
  changes[5].set_is_active(false);
  std::int64_t revision = 2;
  for (const v1::UpsertUserRequest& change : changes) {
    SCOPED_TRACE(change.DebugString());
    const v1::Profile profile = Upsert(change).profile();
    EXPECT_EQ(profile.revision(), ++revision);
    EXPECT_TRUE(
        MessageDifferencer::Equals(store_->Get(kUser)->profile(), profile));
    // And back, which is one more change, or two.
    revision = Upsert(Contact()).profile().revision();
  }
  const v1::Profile last = Upsert(Contact()).profile();
  EXPECT_EQ(last.last_name(), "Lovelace");
  EXPECT_EQ(last.username(), "test");
  EXPECT_EQ(last.language_code(), "en");
  EXPECT_FALSE(last.is_active());
}

TEST_F(ContactIntervalTest, LeavesWhatAContactKeepsOrClearsOnceMore) {
  Known();
  const std::string version = Version();
  v1::UpsertUserRequest says_nothing;
  says_nothing.set_user_id(kUser);
  v1::UpsertUserRequest clears_again = Contact();
  clears_again.mutable_identity()->set_last_name("");
  v1::UpsertUserRequest older = Contact();
  older.mutable_identity()->set_first_name("Old");
  older.set_is_active(false);
  SetTimestamp(kNow - absl::Seconds(1), older.mutable_occurred_at());
  for (const auto& request : {says_nothing, clears_again, older}) {
    SCOPED_TRACE(request.DebugString());
    const v1::Profile profile = Upsert(request).profile();
    EXPECT_EQ(profile.first_name(), "Test");
    EXPECT_EQ(profile.username(), "test");
    EXPECT_TRUE(profile.is_active());
    EXPECT_EQ(Version(), version);
  }
}

TEST_F(ContactIntervalTest, TellsEachOfABatchApart) {
  constexpr int kUsers = 200;
  std::vector<v1::UpsertUserRequest> requests;
  for (int user = 1; user <= kUsers; ++user) requests.push_back(Contact(user));
  for (int round = 0; round < 2; ++round) store_->UpsertAll(requests);
  for (int user = 2; user <= kUsers; user += 2) {
    requests[user - 1].mutable_identity()->set_first_name("Other");
  }
  requests.push_back(Contact(kUsers + 1));
  const auto responses = store_->UpsertAll(requests);
  for (int user = 1; user <= kUsers + 1; ++user) {
    SCOPED_TRACE(user);
    ASSERT_TRUE(responses[user - 1].ok()) << responses[user - 1].status();
    const v1::UpsertUserResponse& response = *responses[user - 1];
    const bool is_new = user > kUsers;
    EXPECT_EQ(response.created(), is_new);
    EXPECT_EQ(response.profile().user_id(), user);
    EXPECT_EQ(response.profile().revision(), is_new          ? 1
                                             : user % 2 == 0 ? 3
                                                             : 2);
    EXPECT_EQ(response.profile().first_name(),
              requests[user - 1].identity().first_name());
  }
}

TEST_F(ContactIntervalTest, CreatesEachUserOnceInSeveralServers) {
  constexpr int kUsers = 100;
  std::vector<std::atomic<int>> created(kUsers + 1);
  std::vector<std::thread> servers;
  for (int server = 0; server < 3; ++server) {
    servers.emplace_back([&] {
      PostgresStore impl(options_);
      BlockingStore store(impl);
      std::vector<v1::UpsertUserRequest> requests;
      for (int i = 0; i < 3 * kUsers; ++i) {
        requests.push_back(Contact(1 + i % kUsers));
      }
      const auto responses = store.UpsertAll(requests);
      for (std::size_t i = 0; i < responses.size(); ++i) {
        ASSERT_TRUE(responses[i].ok()) << responses[i].status();
        if (responses[i]->created()) ++created[requests[i].user_id()];
      }
    });
  }
  for (std::thread& server : servers) server.join();
  for (int user = 1; user <= kUsers; ++user) EXPECT_EQ(created[user], 1);
}

// It is neither seen as the statement begins nor inserted by it.
TEST_F(ContactIntervalTest, AnswersForARowThatAppearsMeanwhile) {
  const auto bot = database_.Connect();
  ASSERT_TRUE(
      bot->ExecuteScript(absl::StrCat("BEGIN; INSERT INTO users (user_id,"
                                      " nickname) VALUES (",
                                      kUser, ", 'ada')"))
          .ok());
  v1::UpsertUserResponse response;
  std::thread contact([&] {
    CallContext context;
    context.deadline = base::SteadyTime::Now() + absl::Seconds(60);
    const auto outcome = store_->Upsert(Contact(), context);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    response = *outcome;
  });
  EXPECT_TRUE(testing::Eventually([this] {
    return database_
               .Execute(
                   "SELECT FROM pg_stat_activity WHERE datname ="
                   " current_database() AND wait_event_type = 'Lock'")
               .size() > 0;
  }));
  EXPECT_TRUE(bot->ExecuteScript("COMMIT").ok());
  contact.join();
  EXPECT_FALSE(response.created());
  EXPECT_EQ(response.profile().nickname(), "ada");
  EXPECT_EQ(response.profile().first_name(), "Test");
  EXPECT_EQ(response.profile().revision(), 2);
}

TEST_F(ContactIntervalTest, WritesRowsThatALegacyBotLeftIncomplete) {
  for (const char* row : {"NULL, now(), 5", "now(), NULL, 5", "now(), now(), 0",
                          "now(), now(), NULL"}) {
    SCOPED_TRACE(row);
    now_ = absl::ToUnixMicros(absl::Now());
    database_.Execute(absl::StrCat(
        "DELETE FROM users; ALTER TABLE users ALTER revision DROP NOT NULL,"
        " ALTER last_seen_at DROP NOT NULL;"
        "INSERT INTO users (user_id, first_name, username, is_active,"
        " last_seen_at, last_activity, revision)"
        " VALUES (12345, 'Test', 'test', true, ",
        row, ")"));
    const std::string version = Version();
    const v1::UpsertUserResponse response = Upsert(Contact());
    EXPECT_FALSE(response.created());
    EXPECT_GT(response.profile().revision(), 1);
    EXPECT_TRUE(response.profile().has_last_seen_at());
    EXPECT_TRUE(response.profile().has_last_activity());
    EXPECT_NE(Version(), version);
  }
}

TEST_F(ContactIntervalTest, LooksUpEachByKeyThoughItsPlanIsOfASmallTable) {
  database_.Execute(
      "ALTER TABLE users SET (autovacuum_enabled = off);"
      "INSERT INTO users (user_id) VALUES (1), (2), (3); ANALYZE users");
  std::vector<v1::UpsertUserRequest> requests;
  for (int i = 1; i <= 200; ++i) requests.push_back(Contact(i));
  for (int round = 0; round < 10; ++round) store_->UpsertAll(requests);
  database_.Execute(
      "INSERT INTO users (user_id) SELECT generate_series(1001, 21000)");
  for (int round = 0; round < 10; ++round) store_->UpsertAll(requests);
  impl_->Shutdown(base::SteadyTime::InfiniteFuture());
  impl_.reset();  // its sessions report their statistics as they end
  EXPECT_THAT(database_.AwaitStatistic("idx_tup_fetch", 15 * 200),
              AllOf(Ge(15 * 200), Lt(20000)));
}

}  // namespace
}  // namespace userprofile::store
