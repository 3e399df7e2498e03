#include "server/store/filter.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "server/store/profile_rows.h"

namespace userprofile::store {

void AddFilter(const v1::ProfileFilter& filter,
               postgres::Parameters& parameters) {
  const auto add = [&](bool given, std::string value) {
    parameters.push_back(given ? absl::make_optional(std::move(value))
                               : absl::nullopt);
  };
  const auto flag = [](bool value) { return value ? "t" : "f"; };
  const auto add_times = [&](const v1::TimeRange& range) {
    add(range.has_from(), SqlTime(FromTimestamp(range.from())));
    add(range.has_before(), SqlTime(FromTimestamp(range.before())));
  };
  add(filter.has_onboarding_completed(), flag(filter.onboarding_completed()));
  add(filter.has_is_active(), flag(filter.is_active()));
  add(filter.has_study_track(), filter.study_track());
  add(filter.has_grade_band(), filter.grade_band());
  add(filter.has_grade_year(), filter.grade_year());
  add(filter.has_language_code(),
      absl::StrCat(absl::AsciiStrToLower(filter.language_code()), "-"));
  add(filter.has_nickname_prefix(), filter.nickname_prefix());
  add_times(filter.created_at());
  add_times(filter.last_seen_at());
  add_times(filter.last_activity());
  add(!filter.attributes().fields().empty(), SqlObject(filter.attributes()));
}

}  // namespace userprofile::store
