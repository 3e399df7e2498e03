#include "server/schema/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"

namespace userprofile::schema {

std::string Describe(const Breach& breach) {
  if (breach.found == kMissing) {
    return absl::StrCat(breach.object, " is missing");
  }
  return absl::StrCat(breach.object, " is not as needed: ", breach.found,
                      " instead of ", breach.expected);
}

const char* Report::NextCommand() const {
  const Breach& first = breaches.front();
  if (first.fault == Fault::kForPerson && first.remedy != kRunMigrations) {
    return "schema check";
  }
  return migrations_pending ? "migrate up" : "schema repair";
}

int Report::Count(Severity severity) const {
  return static_cast<int>(std::count_if(
      breaches.begin(), breaches.end(),
      [&](const Breach& breach) { return breach.severity == severity; }));
}

absl::Status Report::ToStatus() const {
  if (Count(Severity::kBlocking) == 0) return absl::OkStatus();
  const std::size_t more = breaches.size() - 1;
  return base::MakeError(
      absl::StatusCode::kUnavailable,
      absl::StrCat(Describe(breaches.front()),
                   more == 0 ? ""
                             : absl::StrCat(" (and ", more, " more ",
                                            more == 1 ? "breach" : "breaches",
                                            " of the schema)"),
                   "; run 'userprofile-server ", NextCommand(), "'"),
      v1::ERROR_REASON_SCHEMA_NOT_READY, {{"object", breaches.front().object}});
}

}  // namespace userprofile::schema
