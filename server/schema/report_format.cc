#include "server/schema/report_format.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace userprofile::schema {
namespace {

using Json = nlohmann::ordered_json;

const char* Name(Severity severity) {
  return severity == Severity::kBlocking ? "blocking" : "advisory";
}

}  // namespace

std::string FormatText(const Report& report) {
  std::string text;
  for (const Holding& holding : report.holdings) {
    absl::StrAppendFormat(&text, "ok        %-31s %s\n", holding.object,
                          holding.expected);
  }
  for (const Breach& breach : report.breaches) {
    absl::StrAppendFormat(&text, "%-9s %-31s %s, expected %s\n",
                          Name(breach.severity), breach.object, breach.found,
                          breach.expected);
    absl::StrAppendFormat(&text, "%10s%s\n", "", breach.remedy);
  }
  absl::StrAppendFormat(
      &text,
      "\n%d as needed; breaches: %d blocking (they can harm data), "
      "%d advisory.\n",
      report.holdings.size(), report.Count(Severity::kBlocking),
      report.Count(Severity::kAdvisory));
  if (report.migrations_pending) {
    absl::StrAppend(&text,
                    "Migrations are pending: run 'userprofile-server migrate "
                    "up'.\n");
  }
  return text;
}

std::string FormatJson(const Report& report) {
  Json holds = Json::array();
  for (const Holding& holding : report.holdings) {
    holds.push_back(
        {{"object", holding.object}, {"expected", holding.expected}});
  }
  Json breaches = Json::array();
  for (const Breach& breach : report.breaches) {
    breaches.push_back({{"severity", Name(breach.severity)},
                        {"object", breach.object},
                        {"expected", breach.expected},
                        {"found", breach.found},
                        {"remedy", breach.remedy}});
  }
  return Json({{"ready", report.ToStatus().ok()},
               {"migrations_pending", report.migrations_pending},
               {"holds", holds},
               {"breaches", breaches}})
      .dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string FormatText(const std::vector<MigrationStatus>& migrations) {
  std::string text;
  for (const MigrationStatus& migration : migrations) {
    const std::string label = Label(migration.version, migration.name);
    if (migration.applied_at.empty()) {
      absl::StrAppend(&text, ToString(migration.state), "   ", label, "\n");
    } else {
      absl::StrAppendFormat(&text, "%s   %-36s  %s\n",
                            ToString(migration.state), label,
                            migration.applied_at);
    }
  }
  return text;
}

std::string FormatJson(const std::vector<MigrationStatus>& migrations) {
  Json list = Json::array();
  for (const MigrationStatus& migration : migrations) {
    list.push_back({{"version", migration.version},
                    {"name", migration.name},
                    {"state", ToString(migration.state)},
                    {"applied_at", migration.applied_at.empty()
                                       ? Json(nullptr)
                                       : Json(migration.applied_at)}});
  }
  return Json({{"migrations", list}})
      .dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace userprofile::schema
