// The story that the project comes from: a table that lacks the columns which a
// bot believes in, and four users who must not be lost.

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/stories/load.h"
#include "tests/support/program.h"
#include "tests/support/server_program.h"
#include "tests/support/test_database.h"

namespace userprofile::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// As the incomplete migration 004 left it, with a column that others own.
constexpr char kLegacyTable[] = R"(
  CREATE TABLE users (
    user_id bigint PRIMARY KEY,
    is_active boolean DEFAULT true,
    created_at timestamp DEFAULT now(),
    referral_code text);
  INSERT INTO users VALUES
    (101, true, '2025-10-01 10:00:00', 'a1'),
    (102, true, '2025-10-02 11:30:00', NULL),
    (103, false, '2025-10-03 12:45:00', 'c3'),
    (104, NULL, NULL, 'd4');
)";

constexpr const char* kMissingColumns[] = {
    "first_name",    "last_name",           "username",
    "language_code", "real_name",           "nickname",
    "study_track",   "grade_band",          "grade_year",
    "phone",         "updated_at",          "last_activity",
    "last_seen_at",  "onboarding_completed"};

TEST(SeedStoryTest, FourUsersOfABrokenTableAreStillKnownAfterItIsMended) {
  TestDatabase database;
  database.Execute(kLegacyTable);
  const std::string before = std::string(
      database
          .Execute("SELECT string_agg(u::text, ';' ORDER BY user_id)"
                   " FROM (SELECT user_id, referral_code FROM users) u")
          .Text(0, 0));
  const std::string flag = absl::StrCat("--database=", database.conninfo());

  // The check names everything that is missing.
  Outcome check = RunProgram({{"userprofile-server", "schema", "check", flag}});
  EXPECT_EQ(check.exit_code, 3) << check.errors;
  for (const char* column : kMissingColumns) {
    EXPECT_THAT(check.output, HasSubstr(absl::StrCat("users.", column, " ")));
  }
  check = RunProgram(
      {{"userprofile-server", "schema", "check", flag, "--output", "json"}});
  EXPECT_EQ(check.exit_code, 3) << check.errors;
  const nlohmann::json report = nlohmann::json::parse(check.output);
  EXPECT_FALSE(report["ready"]);
  for (const char* column : kMissingColumns) {
    bool named = false;
    for (const auto& breach : report["breaches"]) {
      named = named || breach["object"] == absl::StrCat("users.", column);
    }
    EXPECT_TRUE(named) << column;
  }

  // The service comes up, but refuses to serve such a table.
  ServerProgram server(database.conninfo());
  server.Start();
  server.AwaitNotReady("userprofile-server migrate up");
  server.AwaitNotReady("is missing");
  const auto stub = server.NewStub();
  v1::UpsertUserResponse upserted;
  v1::GetProfileResponse read;
  for (const std::int64_t user : {101, 12345}) {
    for (const grpc::Status& status :
         {Upsert(*stub, user, &upserted), Get(*stub, user, &read)}) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
      EXPECT_EQ(ReasonOf(status), "SCHEMA_NOT_READY");
      EXPECT_THAT(status.error_message(), HasSubstr("users."));
    }
    EXPECT_FALSE(upserted.created());
  }

  // One command mends it, and the server goes on by itself.
  const Outcome migrated =
      RunProgram({{"userprofile-server", "migrate", "up", flag}});
  EXPECT_EQ(migrated.exit_code, 0) << migrated.errors;
  EXPECT_EQ(
      RunProgram({{"userprofile-server", "schema", "check", flag}}).exit_code,
      0);
  server.AwaitReady();

  // All four are there, with all that they had, and are recognized.
  EXPECT_EQ(database
                .Execute("SELECT string_agg(u::text, ';' ORDER BY user_id) FROM"
                         " (SELECT user_id, referral_code FROM users) u")
                .Text(0, 0),
            before);
  for (std::int64_t user = 101; user <= 104; ++user) {
    EXPECT_TRUE(Get(*stub, user, &read).ok());
    EXPECT_EQ(read.profile().is_active(), user != 103);
    ASSERT_TRUE(Upsert(*stub, user, &upserted).ok());
    EXPECT_FALSE(upserted.created()) << user;
    EXPECT_EQ(upserted.profile().first_name(), "Test");
  }
  EXPECT_EQ(Get(*stub, 12345, &read).error_code(), grpc::StatusCode::NOT_FOUND);

  // The report's own test: user 12345 is created, and then updated.
  ASSERT_TRUE(Upsert(*stub, 12345, &upserted).ok());
  EXPECT_TRUE(upserted.created());
  EXPECT_EQ(upserted.profile().first_name(), "Test");
  grpc::ClientContext context;
  v1::UpsertUserRequest update;
  update.set_user_id(12345);
  update.mutable_identity()->set_first_name("Updated");
  ASSERT_TRUE(stub->UpsertUser(&context, update, &upserted).ok());
  EXPECT_FALSE(upserted.created());
  EXPECT_EQ(upserted.profile().first_name(), "Updated");

  // Again, it has nothing to do.
  const Outcome again =
      RunProgram({{"userprofile-server", "migrate", "up", flag}});
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_THAT(again.output, HasSubstr("Nothing to do"));
  EXPECT_THAT(server.program().errors(), Not(HasSubstr("Updated")));
}

TEST(SeedStoryTest, ARowThatAForeignRuleRefusesIsNoWrongUsage) {
  TestDatabase database;
  database.Execute(kLegacyTable);
  database.Execute(
      "ALTER TABLE users ADD CHECK (user_id <> 104 OR is_active IS NULL)");
  const Outcome outcome =
      RunProgram({{"userprofile-server", "migrate", "up",
                   absl::StrCat("--database=", database.conninfo())}});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("users_check"));
}

}  // namespace
}  // namespace userprofile::testing
