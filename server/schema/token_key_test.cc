// The key of tokens: made with users, found missing, and mended.

#include "server/users/token_key.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/schema/damages_testing.h"
#include "server/schema/inspector.h"
#include "server/schema/migrator.h"
#include "server/schema/repair.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

class TokenKeyTest : public ::testing::Test {
 protected:
  TokenKeyTest() {
    const auto migrated = Migrate(database_.session_factory());
    EXPECT_TRUE(migrated.ok()) << migrated.status();
  }
  ~TokenKeyTest() override {
    database_.Execute(
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname ="
        " 'token_key_test') THEN DROP OWNED BY token_key_test CASCADE;"
        " DROP ROLE token_key_test; END IF; END $$");
  }

  void AddRole() {
    database_.Execute(
        "CREATE ROLE token_key_test LOGIN;"
        "GRANT USAGE, CREATE ON SCHEMA public TO token_key_test;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO token_key_test;"
        "GRANT SELECT, INSERT, DELETE ON userprofile_changes TO "
        "token_key_test;"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON userprofile_sessions TO "
        "token_key_test;"
        "GRANT SELECT ON userprofile_migrations TO token_key_test");
  }

  std::string Key() {
    const auto rows = database_.Execute(
        "SELECT encode(key, 'hex') FROM userprofile_token_key");
    EXPECT_EQ(rows.size(), 1);
    return std::string(rows.Text(0, 0));
  }

  // Of the first thing that is wrong; of a role, if there is one.
  Breach Inspected(const std::string& role = "") {
    const auto session = database_.Connect();
    const auto report = Inspect(*session, migrations::Embedded(), role);
    EXPECT_TRUE(report.ok()) << report.status();
    if (!report.ok() || report->breaches.empty()) return {};
    EXPECT_TRUE(report->ToStatus().ok()) << "it is advisory";
    return report->breaches.front();
  }

  bool Repaired(const std::string& role = "") {
    RepairOptions options;
    options.role = role;
    const auto result = Repair(database_.session_factory(), options);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() && result->is_as_needed();
  }

  testing::TestDatabase database_;
};

TEST_F(TokenKeyTest, IsMadeOnceAndNobodyCanGuessIt) {
  const std::string key = Key();
  EXPECT_EQ(key.size(), 2 * users::kTokenKeySize);
  EXPECT_EQ(Inspected().object, "");
  ASSERT_TRUE(Migrate(database_.session_factory()).ok());
  ASSERT_TRUE(Repaired());
  EXPECT_EQ(Key(), key);

  testing::TestDatabase other;
  ASSERT_TRUE(Migrate(other.session_factory()).ok());
  EXPECT_NE(
      other.Execute("SELECT encode(key, 'hex') FROM userprofile_token_key")
          .Text(0, 0),
      key);
}

TEST_F(TokenKeyTest, IsMissedAndMadeAgain) {
  database_.Execute("DROP TABLE userprofile_token_key");
  const Breach breach = Inspected();
  EXPECT_EQ(Describe(breach), "userprofile_token_key is missing");
  EXPECT_EQ(breach.severity, Severity::kAdvisory);
  ASSERT_TRUE(Repaired());
  EXPECT_EQ(Key().size(), 2 * users::kTokenKeySize);

  database_.Execute("DROP TABLE userprofile_token_key");
  for (const std::string& sql : SqlIn(breach.remedy)) database_.Execute(sql);
  EXPECT_EQ(Inspected().object, "");
}

TEST_F(TokenKeyTest, TheServingRoleIsLetReadIt) {
  AddRole();
  EXPECT_EQ(Inspected("token_key_test").object,
            "rights on userprofile_token_key");
  EXPECT_TRUE(Repaired("token_key_test"));
  EXPECT_EQ(Inspected("token_key_test").object, "");
  EXPECT_FALSE(database_
                   .Execute("SELECT has_table_privilege('token_key_test',"
                            " 'userprofile_token_key',"
                            " 'INSERT, UPDATE, DELETE')")
                   .Bool(0, 0));

  database_.Execute("DROP TABLE userprofile_token_key");
  EXPECT_TRUE(Repaired("token_key_test"));
  EXPECT_EQ(Inspected("token_key_test").object, "");
}

// Whoever may create in the schema knows what they put there, and what hangs on
// it would run with the rights of whoever mends it.
TEST_F(TokenKeyTest, OneThatOthersMadeIsSetAside) {
  AddRole();
  database_.Execute(
      "DROP TABLE userprofile_token_key; SET ROLE token_key_test;"
      "CREATE TABLE userprofile_token_key AS SELECT '\\x00'::bytea AS key;"
      "GRANT ALL ON userprofile_token_key TO PUBLIC");
  const Breach breach = Inspected();
  EXPECT_EQ(breach.object, "userprofile_token_key");
  EXPECT_EQ(breach.fault, Fault::kForPerson);
  EXPECT_FALSE(Repaired());
  for (const std::string& sql : SqlIn(breach.remedy)) database_.Execute(sql);
  EXPECT_TRUE(Repaired());
  EXPECT_EQ(Key().size(), 2 * users::kTokenKeySize);
}

// As from a backup without its row.
TEST_F(TokenKeyTest, ATableWithoutAKeyIsSetAside) {
  for (const char* rows : {"DELETE FROM userprofile_token_key",
                           "UPDATE userprofile_token_key SET key = '\\x01'",
                           "INSERT INTO userprofile_token_key SELECT key FROM"
                           " userprofile_token_key"}) {
    database_.Execute(rows);
    const Breach breach = Inspected();
    EXPECT_EQ(breach.found, "a table without such a key") << rows;
    EXPECT_FALSE(Repaired());
    for (const std::string& sql : SqlIn(breach.remedy)) database_.Execute(sql);
    EXPECT_TRUE(Repaired());
    EXPECT_EQ(Key().size(), 2 * users::kTokenKeySize);
    database_.Execute("DROP TABLE userprofile_token_key_set_aside");
  }
}

TEST_F(TokenKeyTest, IsNotBelievedIfItIsNoTableOfKeys) {
  for (const char* sql :
       {"CREATE VIEW userprofile_token_key AS SELECT '\\x00'::bytea AS key",
        "CREATE TABLE userprofile_token_key (key text)",
        "CREATE TABLE userprofile_token_key ()"}) {
    database_.Execute(
        "ALTER TABLE userprofile_token_key RENAME TO put_away;"
        "DROP SCHEMA IF EXISTS old CASCADE; CREATE SCHEMA old;"
        "ALTER TABLE put_away SET SCHEMA old");
    database_.Execute(sql);
    EXPECT_EQ(Inspected().fault, Fault::kForPerson) << sql;
  }
}

}  // namespace
}  // namespace userprofile::schema
