#include "server/schema/contract.h"

namespace userprofile::schema {
namespace {

constexpr char kBigint[] = "bigint";
constexpr char kBoolean[] = "boolean";
constexpr char kText[] = "text";
constexpr char kTimestamp[] = "timestamp without time zone";  // in UTC
constexpr char kTimestampTz[] = "timestamp with time zone";
constexpr char kVarchar[] = "character varying";

constexpr Severity kAdvisory = Severity::kAdvisory;
constexpr Severity kBlocking = Severity::kBlocking;

constexpr Column kColumns[] = {
    {"user_id", kBigint, false, nullptr, kAdvisory},
    {"username", kVarchar, true, nullptr, kAdvisory},
    {"first_name", kVarchar, true, nullptr, kAdvisory},
    {"last_name", kText, true, nullptr, kAdvisory},
    {"language_code", kText, true, nullptr, kAdvisory},
    {"onboarding_completed", kBoolean, false, "false", kAdvisory},
    {"real_name", kText, true, nullptr, kBlocking},
    {"nickname", kVarchar, true, nullptr, kBlocking},
    {"study_track", kText, true, nullptr, kBlocking},
    {"grade_band", kText, true, nullptr, kBlocking},
    {"grade_year", kText, true, nullptr, kBlocking},
    {"phone", kText, true, nullptr, kBlocking},
    {"is_active", kBoolean, false, "true", kAdvisory},
    {"created_at", kTimestamp, false, kAnyDefault, kAdvisory},
    {"last_seen_at", kTimestampTz, true, nullptr, kAdvisory},
    {"updated_at", kTimestamp, true, nullptr, kAdvisory},
    {"last_activity", kTimestampTz, true, nullptr, kAdvisory},
    {"revision", kBigint, false, "1", kAdvisory},
};

constexpr Index kIndexes[] = {
    {"idx_users_nickname", "nickname", true},
    {"idx_users_onboarding_completed", "onboarding_completed", false},
    {"idx_users_study_track", "study_track", false},
    {"idx_users_grade_year", "grade_year", false},
};

}  // namespace

const Contract& UsersContract() {
  static constexpr Contract kContract = {"users", kColumns, "user_id",
                                         kIndexes};
  return kContract;
}

}  // namespace userprofile::schema
