#include "server/schema/inspector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/schema/damages_testing.h"
#include "server/schema/migrator.h"
#include "server/schema/report_format.h"
#include "tests/support/test_database.h"

namespace userprofile::schema {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Report InspectOrDie(postgres::Session& session) {
  auto report = Inspect(session);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *std::move(report) : Report();
}

std::vector<std::string> Objects(const Report& report) {
  std::vector<std::string> objects;
  for (const Breach& breach : report.breaches) objects.push_back(breach.object);
  return objects;
}

TEST(InspectorTest, NamesEveryColumnThatTheLegacyTableLacks) {
  testing::TestDatabase database;
  CreateLegacyTable(database);
  const Report report = InspectOrDie(*database.Connect());

  std::vector<std::string> missing;
  for (const Breach& breach : report.breaches) {
    if (breach.found == kMissing && absl::StartsWith(breach.object, "users.")) {
      missing.push_back(breach.object);
    }
  }
  EXPECT_THAT(
      missing,
      ElementsAre("users.username", "users.first_name", "users.last_name",
                  "users.language_code", "users.onboarding_completed",
                  "users.real_name", "users.nickname", "users.study_track",
                  "users.grade_band", "users.grade_year", "users.phone",
                  "users.last_seen_at", "users.updated_at",
                  "users.last_activity", "users.revision"));
  EXPECT_TRUE(report.migrations_pending);
  EXPECT_THAT(std::string(report.ToStatus().message()),
              ::testing::MatchesRegex(
                  "users.username is missing \\(and [0-9]+ more breaches of "
                  "the schema\\); run 'userprofile-server migrate up'"));
}

TEST(InspectorTest, NamesAMissingTable) {
  testing::TestDatabase database;
  const Report report = InspectOrDie(*database.Connect());
  EXPECT_THAT(Objects(report), ElementsAre("users"));
  EXPECT_EQ(report.ToStatus().message(),
            "users is missing; run 'userprofile-server migrate up'");
}

TEST(InspectorTest, FindsNothingWrongWithATableThatIsAsNeeded) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  const Report report = InspectOrDie(*database.Connect());
  EXPECT_THAT(Objects(report), IsEmpty());
  EXPECT_TRUE(report.ToStatus().ok());
}

TEST(InspectorTest, NamesEveryDamageAndHowToMendIt) {
  testing::TestDatabase database;
  for (const Damage& damage : Damages()) {
    SCOPED_TRACE(damage.sql);
    CreateUnmigratedTable(database);
    database.Execute(damage.sql);
    const auto session = database.Connect();
    const Report report = InspectOrDie(*session);
    ASSERT_FALSE(report.breaches.empty());
    EXPECT_EQ(report.breaches.front().object, damage.object);
    EXPECT_EQ(report.breaches.front().severity, damage.severity);
    EXPECT_EQ(report.ToStatus().ok(), damage.severity == Severity::kAdvisory);

    if (!damage.remedy_is_sql) continue;
    for (const Breach& breach : report.breaches) {
      // One remedy may mend more than one breach.
      session->ExecuteScript(breach.remedy).status().IgnoreError();
    }
    EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty())
        << FormatText(report);
  }
}

TEST(InspectorTest, AcceptsAForeignColumnThatFillsItself) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "ALTER TABLE users ADD a integer NOT NULL DEFAULT 1,"
      " ADD b bigint NOT NULL GENERATED ALWAYS AS IDENTITY,"
      " ADD c text NOT NULL GENERATED ALWAYS AS (a::text) STORED");
  EXPECT_THAT(Objects(InspectOrDie(*database.Connect())), IsEmpty());
}

TEST(InspectorTest, NamesWhatTheRoleMayNotDo) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  const auto session = database.Connect();
  const std::string role = "inspector_test_role";
  database.Execute(absl::StrCat("CREATE ROLE ", role,
                                "; GRANT USAGE ON SCHEMA public TO ", role));
  ASSERT_TRUE(session->ExecuteScript(absl::StrCat("SET ROLE ", role)).ok());

  Report report = InspectOrDie(*session);
  ASSERT_THAT(report.breaches, SizeIs(1));
  EXPECT_EQ(report.breaches[0].found, "no SELECT, INSERT, UPDATE");

  database.Execute(report.breaches[0].remedy);
  EXPECT_THAT(Objects(InspectOrDie(*session)), IsEmpty());

  database.Execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY");
  report = InspectOrDie(*session);
  ASSERT_THAT(report.breaches, SizeIs(1));
  EXPECT_EQ(report.breaches[0].found, "row-level security");
  EXPECT_EQ(report.breaches[0].severity, Severity::kBlocking);

  database.Execute(absl::StrCat("DROP OWNED BY ", role, "; DROP ROLE ", role));
}

TEST(InspectorTest, SeesThatNothingIsPendingAnyMore) {
  testing::TestDatabase database;
  ASSERT_TRUE(Migrate(database.session_factory()).ok());
  database.Execute("ALTER TABLE users DROP COLUMN first_name");
  const Report report = InspectOrDie(*database.Connect());
  EXPECT_EQ(report.ToStatus().message(),
            "users.first_name is missing; run 'userprofile-server schema "
            "check'");
}

TEST(InspectorTest, FailsWithoutAVerdictWhenTheConnectionIsLost) {
  testing::TestDatabase database;
  const auto session = database.Connect();
  database.CutConnections();
  EXPECT_TRUE(absl::IsUnavailable(Inspect(*session).status()));
}

TEST(InspectorTest, AddsTheColumnOfOnboardingWithWhatIsKnownOfIt) {
  testing::TestDatabase database;
  CreateUnmigratedTable(database);
  database.Execute(
      "UPDATE users SET real_name = 'Ali' WHERE user_id = 1;"
      "ALTER TABLE users DROP onboarding_completed");
  const auto report = Inspect(*database.Connect());
  ASSERT_TRUE(report.ok()) << report.status();
  database.Execute(report->breaches.front().remedy);
  EXPECT_EQ(Dump(database, "user_id, onboarding_completed"), "(1,t)\n(2,f)");
}

}  // namespace
}  // namespace userprofile::schema
