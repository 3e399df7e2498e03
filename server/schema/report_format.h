#ifndef USERPROFILE_SERVER_SCHEMA_REPORT_FORMAT_H_
#define USERPROFILE_SERVER_SCHEMA_REPORT_FORMAT_H_

#include <string>
#include <vector>

#include "server/schema/history.h"
#include "server/schema/migrator.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// For `schema check`, what holds and what does not; for `schema repair`, what
// was or would be done about it; for `migrate plan`, the SQL that `up` would
// run; for `migrate status`, the state of each migration. Text is for people,
// ended by a line feed.
// JSON is one object, for programs:
//   {"ready": bool, "migrations_pending": bool, "unknown_migrations": [text],
//    "holds": [{"object", "expected"}],
//    "breaches": [{"severity": "blocking" | "advisory", "object", "expected",
//                  "found", "remedy"}]}
//   {"ready", "migrations_pending",
//    "steps": [{"objects", "state": "planned" | "done" | "refused",
//               "sql": [...], "rewrites_table": bool, "reason"}],
//    "breaches": what is wrong afterwards, as above}
//   {"warnings": [text], "obstacles": text (or null), "refused": bool,
//    "migrations": [{"version", "name", "kind": "transaction" | "contract",
//                    "statements": [{"sql", "lock" (or null),
//                    "rewrites_table": bool, "problem" (or null)}]}]}
//   {"migrations": [{"version", "name", "state": "pending" | "late" |
//                    "applied" | "changed" | "unknown", "applied_at",
//                    "started_at", "duration_ms", "role", "tool_version" (each
//                    can be null), "baseline": bool}]}

std::string FormatText(const Report& report);
std::string FormatJson(const Report& report);

std::string FormatText(const RepairResult& result);
std::string FormatJson(const RepairResult& result);

std::string FormatText(const MigrationPlan& plan);
std::string FormatJson(const MigrationPlan& plan);

std::string FormatText(const std::vector<MigrationStatus>& migrations);
std::string FormatJson(const std::vector<MigrationStatus>& migrations);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REPORT_FORMAT_H_
