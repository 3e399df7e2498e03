#include "server/store/profile_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include "base/limits.h"
#include "google/protobuf/util/json_util.h"
#include "server/users/columns.h"

namespace userprofile::store {
namespace {

// What others stored that is no object, or holds a number that no double is
// near, is left out.
void SetObject(absl::string_view json, users::ObjectField field,
               v1::Profile* profile) {
  google::protobuf::Struct object;
  if (google::protobuf::util::JsonStringToMessage({json.data(), json.size()},
                                                  &object)
          .ok() &&
      !object.fields().empty()) {
    *(profile->*field)() = std::move(object);
  }
}

}  // namespace

std::int64_t UserId(const postgres::Rows& rows, std::size_t row) {
  return rows.Int64(row, 0);
}

void ReadProfile(const postgres::Rows& rows, std::size_t row,
                 v1::Profile* profile, const std::vector<bool>& unwanted) {
  int next = 0;
  for (const users::Column& column : users::Columns()) {
    const int at = next++;
    if (!unwanted.empty() && unwanted[static_cast<std::size_t>(at)]) continue;
    const auto& field = column.field;
    if (const auto* flag = std::get_if<users::FlagField>(&field)) {
      (profile->**flag)(rows.Bool(row, at));
    } else if (const auto* integer = std::get_if<users::IntegerField>(&field)) {
      (profile->**integer)(rows.Int64(row, at));
    } else if (rows.IsNull(row, at)) {
      // Absent.
    } else if (const auto* text = std::get_if<users::TextField>(&field)) {
      const absl::string_view value = rows.Text(row, at);
      (profile->**text)()->assign(value.data(), value.size());
    } else if (const auto* time = std::get_if<users::TimeField>(&field)) {
      SetSeconds(rows.Double(row, at), (profile->**time)());
    } else {
      SetObject(rows.Text(row, at), std::get<users::ObjectField>(field),
                profile);
    }
  }
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

void SetSeconds(double since_1970, google::protobuf::Timestamp* timestamp) {
  const double held =
      std::clamp(since_1970, static_cast<double>(base::kMinTimestampSeconds),
                 static_cast<double>(base::kMaxTimestampSeconds));
  SetTimestamp(absl::FromUnixMicros(std::llround(held * 1e6)), timestamp);
}

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) +
         absl::Nanoseconds(timestamp.nanos());
}

std::string SqlObject(const google::protobuf::Struct& object) {
  std::string json;
  const bool written =
      google::protobuf::util::MessageToJsonString(object, &json).ok();
  return written ? json : "{}";  // none that was validated
}

std::string SqlTime(absl::Time time) {
  return absl::FormatTime("%E4Y-%m-%d %H:%M:%E6S+00", time,
                          absl::UTCTimeZone());
}

}  // namespace userprofile::store
