#include "server/store/profile_rows.h"

#include <algorithm>
#include <cmath>

#include "base/limits.h"

namespace userprofile::store {
namespace {

// The columns of statements.cc, in its order.
enum Column {
  kUserId,
  kUsername,
  kFirstName,
  kLastName,
  kLanguageCode,
  kOnboardingCompleted,
  kRealName,
  kNickname,
  kStudyTrack,
  kGradeBand,
  kGradeYear,
  kPhone,
  kIsActive,
  kCreatedAt,
  kLastSeenAt,
  kUpdatedAt,
  kLastActivity,
  kRevision,
};
static_assert(kRevision + 1 == kProfileColumns);

// Reads the columns of one row, and skips those that are NULL.
class RowReader {
 public:
  RowReader(const postgres::Rows& rows, std::size_t row)
      : rows_(rows), row_(row) {}

  template <typename Setter>
  void Text(Column column, Setter set) const {
    if (rows_.IsNull(row_, column)) return;
    const absl::string_view text = rows_.Text(row_, column);
    set(text.data(), text.size());
  }

  template <typename Mutable>
  void Time(Column column, Mutable timestamp) const {
    if (rows_.IsNull(row_, column)) return;
    const double seconds =
        std::clamp(rows_.Double(row_, column),
                   static_cast<double>(base::kMinTimestampSeconds),
                   static_cast<double>(base::kMaxTimestampSeconds));
    SetTimestamp(absl::FromUnixMicros(std::llround(seconds * 1e6)),
                 timestamp());
  }

 private:
  const postgres::Rows& rows_;
  const std::size_t row_;
};

}  // namespace

std::int64_t UserId(const postgres::Rows& rows, std::size_t row) {
  return rows.Int64(row, kUserId);
}

#define SET_TEXT(column, field)                           \
  reader.Text(column, [&](const char* s, std::size_t n) { \
    profile->set_##field(s, n);                           \
  })
#define SET_TIME(column, field) \
  reader.Time(column, [&] { return profile->mutable_##field(); })

void ReadProfile(const postgres::Rows& rows, std::size_t row,
                 v1::Profile* profile) {
  const RowReader reader(rows, row);
  profile->set_user_id(UserId(rows, row));
  SET_TEXT(kUsername, username);
  SET_TEXT(kFirstName, first_name);
  SET_TEXT(kLastName, last_name);
  SET_TEXT(kLanguageCode, language_code);
  profile->set_onboarding_completed(rows.Bool(row, kOnboardingCompleted));
  SET_TEXT(kRealName, real_name);
  SET_TEXT(kNickname, nickname);
  SET_TEXT(kStudyTrack, study_track);
  SET_TEXT(kGradeBand, grade_band);
  SET_TEXT(kGradeYear, grade_year);
  SET_TEXT(kPhone, phone);
  profile->set_is_active(rows.Bool(row, kIsActive));
  SET_TIME(kCreatedAt, created_at);
  SET_TIME(kLastSeenAt, last_seen_at);
  SET_TIME(kUpdatedAt, updated_at);
  SET_TIME(kLastActivity, last_activity);
  profile->set_revision(rows.Int64(row, kRevision));
}

void SetTimestamp(absl::Time time, google::protobuf::Timestamp* timestamp) {
  const std::int64_t seconds =
      std::clamp(absl::ToUnixSeconds(time), base::kMinTimestampSeconds,
                 base::kMaxTimestampSeconds);
  const absl::Duration rest = time - absl::FromUnixSeconds(seconds);
  timestamp->set_seconds(seconds);
  timestamp->set_nanos(static_cast<int>(absl::ToInt64Nanoseconds(
      std::clamp(rest, absl::ZeroDuration(), absl::Nanoseconds(999'999'999)))));
}

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) +
         absl::Nanoseconds(timestamp.nanos());
}

std::string SqlTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%E6S+00", time, absl::UTCTimeZone());
}

}  // namespace userprofile::store
