#include "server/schema/report.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error_info.h"
#include "server/schema/report_format.h"

namespace userprofile::schema {
namespace {

const Breach kMissingColumn = {Severity::kBlocking,
                               Fault::kColumnMissing,
                               "users.first_name",
                               "character varying",
                               kMissing,
                               "ALTER TABLE users ADD ..."};
const Breach kOtherIndex = {Severity::kAdvisory,    Fault::kIndexElse,
                            "idx_users_grade_year", "index on (grade_year)",
                            "on (grade_band)",      "DROP INDEX ..."};

TEST(ReportTest, IsReadyWhenNothingBlocks) {
  Report report;
  report.breaches = {kOtherIndex};
  EXPECT_TRUE(report.ToStatus().ok());
}

TEST(ReportTest, NamesTheFirstBreachAndTheCommand) {
  Report report;
  report.breaches = {kMissingColumn, kOtherIndex};
  EXPECT_EQ(report.ToStatus().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(base::ErrorReason(report.ToStatus()), "SCHEMA_NOT_READY");
  EXPECT_EQ(report.ToStatus().message(),
            "users.first_name is missing (and 1 more breach of the schema); "
            "run 'userprofile-server schema repair'");
  report.migrations_pending = true;
  report.breaches.pop_back();
  EXPECT_EQ(report.ToStatus().message(),
            "users.first_name is missing; run 'userprofile-server migrate up'");
}

TEST(ReportTest, IsATableForPeople) {
  Report report;
  report.holdings = {{"users", "an ordinary table"}};
  report.breaches = {kMissingColumn, kOtherIndex};
  EXPECT_EQ(FormatText(report),
            R"(ok        users                           an ordinary table
blocking  users.first_name                missing, expected character varying
          ALTER TABLE users ADD ...
advisory  idx_users_grade_year            on (grade_band), expected index on (grade_year)
          DROP INDEX ...

1 as needed; breaches: 1 blocking (they can harm data), 1 advisory.
)");
}

TEST(ReportTest, IsJsonForPrograms) {
  Report report;
  report.holdings = {{"users", "an ordinary table"}};
  report.breaches = {kMissingColumn};
  const auto json = nlohmann::json::parse(FormatJson(report));
  EXPECT_EQ(json["ready"], false);
  EXPECT_EQ(json["holds"][0]["object"], "users");
  EXPECT_EQ(json["breaches"][0]["severity"], "blocking");
  EXPECT_EQ(json["breaches"][0]["found"], "missing");
}

TEST(ReportTest, ListsMigrations) {
  const std::vector<MigrationStatus> migrations = {
      {1, "create_users", MigrationState::kApplied, "2026-01-02T03:04:05Z"},
      {4, "next", MigrationState::kPending, ""}};
  EXPECT_EQ(FormatText(migrations),
            "applied   001_create_users                      "
            "2026-01-02T03:04:05Z\n"
            "pending   004_next\n");
  const auto json = nlohmann::json::parse(FormatJson(migrations));
  EXPECT_EQ(json["migrations"][0]["state"], "applied");
  EXPECT_TRUE(json["migrations"][1]["applied_at"].is_null());
}

}  // namespace
}  // namespace userprofile::schema
