// What is said of tables that are not as they should be, and that it leads on.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/schema/damages_testing.h"
#include "server/schema/inspector.h"
#include "server/schema/migrator.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::HasSubstr;
using ::userprofile::testing::TestDatabase;

Report InspectOrDie(postgres::Session& session) {
  auto report = Inspect(session);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *std::move(report) : Report();
}

// Whether a breach is of this object.
bool IsBroken(const Report& report, absl::string_view object) {
  return std::any_of(
      report.breaches.begin(), report.breaches.end(),
      [&](const Breach& breach) { return breach.object == object; });
}

TEST(AdviceTest, SeesTelegramIdsInAnotherColumnAndNoneWhereThereAreNone) {
  TestDatabase database;
  struct Case {
    const char* sql;
    bool is_seen;
  };
  for (const Case& c : std::vector<Case>{
           {"ADD tg_id bigint; UPDATE users SET tg_id = 700 + user_id", true},
           {"ADD \"telegramUserId\" text;"
            "UPDATE users SET \"telegramUserId\" = '70' || user_id",
            true},
           {"ADD chat_id bigint UNIQUE; UPDATE users SET chat_id = 7 + user_id",
            true},
           {"ADD id_tg text; UPDATE users SET id_tg = 700 + user_id", true},
           {"ADD tguid text; UPDATE users SET tguid = 700 + user_id", true},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD uid text;"
            "UPDATE users SET uid = 70 + user_id;"
            "CREATE UNIQUE INDEX ON users (uid) WHERE uid IS NOT NULL",
            true},
           // Once counted up, and its default dropped.
           {"ADD uid bigint UNIQUE; UPDATE users SET uid = 70 + user_id;"
            "CREATE SEQUENCE s OWNED BY users.user_id",
            true},
           // Unique among the users of one bot.
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD uid bigint,"
            " ADD bot bigint; UPDATE users SET uid = 700000000 + user_id,"
            " bot = 7111111111; CREATE UNIQUE INDEX ON users (bot, uid)",
            true},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD no bigint,"
            " ADD bot bigint; UPDATE users SET no = 9 + user_id,"
            " bot = 7111111111; CREATE UNIQUE INDEX ON users (bot, no)",
            false},
           {"ADD uid bigint UNIQUE; UPDATE users SET uid = 70 + user_id",
            false},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD uid bigint;"
            "UPDATE users SET uid = 70 + user_id",
            false},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY,"
            " ADD phone_number text UNIQUE, ADD no serial UNIQUE;"
            "UPDATE users SET phone_number = 70 + user_id, no = 9 + user_id",
            false},
           {"ALTER user_id ADD GENERATED ALWAYS AS IDENTITY, ADD uid bigint"
            " UNIQUE; UPDATE users SET uid = 7 + user_id; COMMENT ON COLUMN"
            " users.user_id IS 'Telegram user id'",
            false},
           {"ADD tg_id bigint; UPDATE users SET tg_id = 700 + user_id; COMMENT"
            " ON COLUMN users.user_id IS 'Telegram user id'",
            false},
           {"ADD chat_id bigint; UPDATE users SET chat_id = 7 + user_id",
            false},
           {"ADD chat_id bigint UNIQUE; UPDATE users SET chat_id = -user_id",
            false},
           {"ADD telegram_id text; UPDATE users SET telegram_id = user_id",
            false},
           {"ADD telegram_id text UNIQUE", false},
           {"ADD telegram_id text; UPDATE users SET telegram_id = '@u'", false},
           {"ADD id serial", false},
           {"ADD referrer_id bigint; UPDATE users SET referrer_id = 7", false},
       }) {
    SCOPED_TRACE(c.sql);
    CreateUnmigratedTable(database);
    database.Execute(absl::StrCat("ALTER TABLE users ", c.sql));
    const Report report = InspectOrDie(*database.Connect());
    EXPECT_EQ(absl::StrContains(FormatText(report), "another number than in"),
              c.is_seen);
  }
}

// One line of the advice on each thing that is wrong.
std::string Advice(const TestDatabase& database, const std::string& role) {
  const auto session = database.Connect();
  const auto report = Inspect(*session, migrations::Embedded(), role);
  std::string text;
  for (const Breach& breach : report->breaches) {
    absl::StrAppend(&text, breach.remedy, "\n");
  }
  return absl::StrCat(text,
                      PlanMigrations(database.session_factory())->obstacles);
}

TEST(AdviceTest, PrintsOnlyStatementsThatRunAndLeadOn) {
  TestDatabase database;
  const struct {
    const char* sql;
    const char* advice;
    std::size_t alternatives = 1;
    bool leads_on = true;  // else it shows what a person must see
  } kCases[] = {
      {"REVOKE ALL ON users FROM inspector_test_role", "GRANT SELECT"},
      {"REVOKE USAGE ON SCHEMA public FROM inspector_test_role",
       "GRANT USAGE ON SCHEMA"},
      {"ALTER TABLE users ENABLE ROW LEVEL SECURITY", "BYPASSRLS", 2},
      {"ALTER TABLE users ADD CONSTRAINT n CHECK (\"Coins\" > 1) NOT VALID",
       "VALIDATE CONSTRAINT n", 2},
      {"ALTER TABLE users ADD telegram_id bigint;"
       "UPDATE users SET telegram_id = 70 + user_id",
       "COMMENT ON COLUMN", 2},
      {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
       "INSERT INTO users (user_id) VALUES (1)",
       "HAVING count(*) > 1", 1, false},
      {"ALTER TABLE users DROP CONSTRAINT users_pkey;"
       "ALTER TABLE users ALTER user_id DROP NOT NULL;"
       "INSERT INTO users (user_id) VALUES (NULL)",
       "WHERE user_id IS NULL", 1, false},
      {"ALTER TABLE users ADD CONSTRAINT n CHECK (\"Coins\" > 15) NOT VALID",
       "SELECT * FROM public.users WHERE NOT", 2, false},
  };
  database.Execute("CREATE ROLE inspector_test_role");
  for (const auto& test : kCases) {
    for (std::size_t i = 0; i < test.alternatives; ++i) {
      SCOPED_TRACE(absl::StrCat(test.sql, ", alternative ", i));
      CreateUnmigratedTable(database);
      database.Execute(
          "GRANT USAGE ON SCHEMA public TO inspector_test_role;"
          "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO "
          "inspector_test_role;"
          "ALTER ROLE inspector_test_role NOBYPASSRLS");
      database.Execute(test.sql);
      std::string advice = Advice(database, "inspector_test_role");
      EXPECT_THAT(advice, HasSubstr(test.advice));
      for (int round = 0; round < 8 && !advice.empty(); ++round) {
        for (const absl::string_view line : absl::StrSplit(advice, '\n')) {
          if (!test.leads_on && !absl::StrContains(line, "SELECT")) continue;
          for (const std::string& sql : SqlIn(line, i)) database.Execute(sql);
          if (test.leads_on) break;  // the rest may be about what that mends
        }
        if (!test.leads_on) break;
        advice = Advice(database, "inspector_test_role");
      }
      EXPECT_EQ(advice.empty(), test.leads_on);
    }
  }
  database.Execute(
      "DROP OWNED BY inspector_test_role; DROP ROLE inspector_test_role");
}

TEST(AdviceTest, SaysWhereTheTableMayBe) {
  TestDatabase database;
  ASSERT_TRUE(Migrate(database.session_factory()).ok());
  const auto session = database.Connect();
  const auto remedy = [&] {
    const Report report = InspectOrDie(*session);
    return report.breaches.empty() ? "" : report.breaches.front().remedy;
  };

  database.Execute("ALTER TABLE users RENAME TO people");
  EXPECT_THAT(remedy(), HasSubstr("ALTER TABLE public.people RENAME TO users"));

  database.Execute(
      "ALTER TABLE people RENAME TO users; CREATE SCHEMA \"My bot\";"
      "ALTER TABLE users SET SCHEMA \"My bot\"");
  EXPECT_THAT(remedy(), HasSubstr("SET search_path = \"My bot\""));

  // A role that may not look into the schema does not find the table.
  database.Execute(
      "CREATE ROLE inspector_test_stranger;"
      "GRANT USAGE ON SCHEMA public TO inspector_test_stranger");
  ASSERT_TRUE(session
                  ->ExecuteScript("SET search_path = \"My bot\", public;"
                                  "SET ROLE inspector_test_stranger")
                  .ok());
  EXPECT_THAT(remedy(), HasSubstr("GRANT USAGE ON SCHEMA \"My bot\" TO "
                                  "inspector_test_stranger"));
  ASSERT_TRUE(session->ExecuteScript("RESET ROLE").ok());
  database.Execute(
      "DROP OWNED BY inspector_test_stranger;"
      "DROP ROLE inspector_test_stranger");

  database.Execute(
      "ALTER TABLE \"My bot\".users SET SCHEMA public; DROP TABLE users");
  ASSERT_TRUE(session->ExecuteScript("RESET search_path").ok());
  EXPECT_THAT(remedy(), HasSubstr("restore a backup"));
  EXPECT_FALSE(Migrate(database.session_factory()).ok());
  ASSERT_THAT(remedy(), HasSubstr("after DROP TABLE userprofile_migrations"));
  database.Execute("DROP TABLE userprofile_migrations");
  EXPECT_TRUE(Migrate(database.session_factory()).ok());
}

TEST(AdviceTest, IsNotContentWithAnotherTableThanTheMigratedOne) {
  TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "CREATE SCHEMA bot; ALTER TABLE users SET SCHEMA bot;"
      "CREATE TABLE users (LIKE bot.users INCLUDING ALL)");
  // As long as nobody knows which one is right, the search path does.
  EXPECT_FALSE(IsBroken(InspectOrDie(*database.Connect()), "schema of users"));

  database.Execute("CREATE TABLE bot.userprofile_migrations ()");
  const Report wrong = InspectOrDie(*database.Connect());
  ASSERT_FALSE(wrong.breaches.empty());
  EXPECT_EQ(wrong.breaches.front().object, "schema of users");
  EXPECT_THAT(wrong.breaches.front().remedy,
              HasSubstr("SET search_path = bot"));
  // Not to migrate the wrong one.
  EXPECT_THAT(std::string(wrong.ToStatus().message()),
              HasSubstr("run 'userprofile-server schema check'"));
}

}  // namespace
}  // namespace userprofile::schema
