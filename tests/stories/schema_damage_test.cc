// Somebody changes the table under a service that is at work.

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kUsers = 50;
constexpr absl::Duration kLimit = absl::Seconds(5);

class SchemaDamageTest : public ::testing::Test {
 protected:
  SchemaDamageTest() {
    server_.StartReady();
    StoreUsers(*server_.NewStub(), kUsers);
  }

  // Damages the table under load, waits until the service says so, mends it,
  // and waits until it serves again.
  void ExpectNoticedAndRecovered(const std::string& damage,
                                 const std::string& words,
                                 const std::string& repair) {
    const auto load = StartLoad(server_, 4, kUsers);
    absl::Time start = absl::Now();
    database_.Execute(damage);
    server_.AwaitNotReady(words, kLimit);
    EXPECT_LT(absl::Now() - start, kLimit);

    const auto stub = server_.NewStub();
    v1::UpsertUserResponse upserted;
    grpc::Status status = Upsert(*stub, kUsers + 1, &upserted);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(ReasonOf(status), "SCHEMA_NOT_READY");
    EXPECT_THAT(status.error_message(), HasSubstr(words));

    start = absl::Now();
    database_.Execute(repair);
    server_.AwaitReady(kLimit);
    EXPECT_LT(absl::Now() - start, kLimit);
    const int served = load->ok();
    EXPECT_TRUE(Eventually([&] { return load->ok() > served + 100; }));

    const Load::Tally tally = load->Stop();
    EXPECT_EQ(tally.created, 0);
    EXPECT_EQ(tally.not_found, 0);
    for (const auto& [failure, count] : tally.failures) {
      EXPECT_EQ(failure, "14 SCHEMA_NOT_READY") << count;
    }
  }

  TestDatabase database_;
  ServerProgram server_{database_.conninfo(), {"--migrate"}};
};

TEST_F(SchemaDamageTest, ADroppedColumnStopsServingUntilItIsBack) {
  ExpectNoticedAndRecovered(
      "ALTER TABLE users DROP COLUMN first_name", "users.first_name",
      "ALTER TABLE users ADD COLUMN first_name character varying");
}

TEST_F(SchemaDamageTest, ADroppedPrimaryKeyStopsServingUntilItIsBack) {
  ExpectNoticedAndRecovered("ALTER TABLE users DROP CONSTRAINT users_pkey",
                            "primary key",
                            "ALTER TABLE users ADD PRIMARY KEY (user_id)");
}

TEST_F(SchemaDamageTest, ADroppedNicknameIndexStopsServingUntilItIsBack) {
  ExpectNoticedAndRecovered(
      "DROP INDEX idx_users_nickname", "idx_users_nickname",
      "CREATE UNIQUE INDEX idx_users_nickname ON users (nickname)");
}

TEST_F(SchemaDamageTest, ARenamedTableIsNotTakenForOneWithoutUsers) {
  ExpectNoticedAndRecovered("ALTER TABLE users RENAME TO elsewhere", "users",
                            "ALTER TABLE elsewhere RENAME TO users");
}

TEST_F(SchemaDamageTest, ADroppedPlainIndexIsCountedWhileServingGoesOn) {
  const auto load = StartLoad(server_, 4, kUsers);
  const auto expect_missing = [&](const char* count) {
    EXPECT_TRUE(Eventually([&] {
      return server_.Get("/metrics")
                 .body.find(absl::StrCat("userprofile_schema_breaches{kind="
                                         "\"index_missing\",severity="
                                         "\"advisory\"} ",
                                         count)) != std::string::npos;
    })) << server_.Get("/metrics").body;
  };
  database_.Execute("DROP INDEX idx_users_study_track");
  expect_missing("1\n");
  EXPECT_EQ(server_.Get("/readyz").code, 200);
  database_.Execute(
      "CREATE INDEX idx_users_study_track ON users (study_track)");
  expect_missing("0\n");
  const Load::Tally tally = load->Stop();
  EXPECT_TRUE(tally.failures.empty());
}

}  // namespace
}  // namespace userprofile::testing
