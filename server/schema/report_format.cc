#include "server/schema/report_format.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace userprofile::schema {
namespace {

using Json = nlohmann::ordered_json;

const char* Name(Severity severity) {
  return severity == Severity::kBlocking ? "blocking" : "advisory";
}

const char* Name(RepairOutcome::State state) {
  switch (state) {
    case RepairOutcome::State::kPlanned:
      return "planned";
    case RepairOutcome::State::kDone:
      return "done";
    case RepairOutcome::State::kRefused:
      return "refused";
  }
  return "";
}

Json ToJson(const std::vector<Breach>& breaches) {
  Json list = Json::array();
  for (const Breach& breach : breaches) {
    list.push_back({{"severity", Name(breach.severity)},
                    {"object", breach.object},
                    {"expected", breach.expected},
                    {"found", breach.found},
                    {"remedy", breach.remedy}});
  }
  return list;
}

Json TextOrNull(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

// A statement that would be run, and what it does to others.
void AppendAction(absl::string_view indent, const RepairOutcome& outcome,
                  const RepairAction& action, std::string& text) {
  if (!action.lock.empty()) {
    absl::StrAppend(&text, indent, "-- lock on users: ", action.lock,
                    action.lock == "ACCESS EXCLUSIVE"
                        ? " (reads and writes wait)\n"
                        : " (nobody waits)\n");
  }
  if (outcome.step.rewrites_table) {
    absl::StrAppend(&text, indent,
                    "-- REWRITES THE TABLE: nobody can use it meanwhile\n");
  }
  absl::StrAppend(&text, indent, action.sql, ";\n");
}

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
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
  for (const std::string& label : report.unknown_migrations) {
    absl::StrAppend(&text, "A newer program applied ", label, ".\n");
  }
  return text;
}

std::string FormatJson(const Report& report) {
  Json holds = Json::array();
  for (const Holding& holding : report.holdings) {
    holds.push_back(
        {{"object", holding.object}, {"expected", holding.expected}});
  }
  return Dump({{"ready", report.ToStatus().ok()},
               {"migrations_pending", report.migrations_pending},
               {"unknown_migrations", report.unknown_migrations},
               {"holds", holds},
               {"breaches", ToJson(report.breaches)}});
}

std::string FormatText(const RepairResult& result) {
  std::string text;
  int refused = 0;
  for (const RepairOutcome& outcome : result.outcomes) {
    absl::StrAppendFormat(&text, "%-9s %s\n", Name(outcome.state),
                          absl::StrJoin(outcome.step.objects, ", "));
    if (outcome.state == RepairOutcome::State::kRefused) {
      ++refused;
      absl::StrAppendFormat(&text, "%10s%s\n", "", outcome.reason);
    }
    if (outcome.state != RepairOutcome::State::kPlanned) continue;
    for (const RepairAction& action : outcome.step.actions) {
      AppendAction("          ", outcome, action, text);
    }
  }
  if (result.outcomes.empty()) {
    return "Nothing to do: the schema is as the service needs it.\n";
  }
  if (refused > 0) {
    absl::StrAppend(&text, "\n", refused,
                    " refused: a person must decide; then run this again.\n");
  } else if (result.is_as_needed()) {
    absl::StrAppend(&text, "\nThe schema is as the service needs it.\n");
  }
  return text;
}

std::string FormatJson(const RepairResult& result) {
  Json steps = Json::array();
  for (const RepairOutcome& outcome : result.outcomes) {
    Json sql = Json::array();
    for (const RepairAction& action : outcome.step.actions) {
      sql.push_back(action.sql);
    }
    steps.push_back({{"objects", outcome.step.objects},
                     {"state", Name(outcome.state)},
                     {"sql", sql},
                     {"rewrites_table", outcome.step.rewrites_table},
                     {"reason", outcome.reason}});
  }
  return Dump({{"ready", result.report.ToStatus().ok()},
               {"migrations_pending", result.report.migrations_pending},
               {"steps", steps},
               {"breaches", ToJson(result.report.breaches)}});
}

std::string FormatText(const MigrationPlan& plan) {
  std::string text;
  for (const std::string& warning : plan.warnings) {
    absl::StrAppend(&text, "-- WARNING: ", warning, "\n\n");
  }
  if (!plan.obstacles.empty()) {
    absl::StrAppend(
        &text, "-- REFUSED: ",
        absl::StrReplaceAll(plan.obstacles, {{"\n", "\n-- REFUSED: "}}),
        "\n\n");
  }
  if (plan.migrations.empty()) {
    absl::StrAppend(&text, "-- Nothing is pending.\n");
  }
  for (const PlannedMigration& planned : plan.migrations) {
    const migrations::Migration& migration = planned.migration;
    absl::StrAppend(
        &text, "-- ==== ", Label(migration.version, migration.name), ": ",
        migration.kind == migrations::Kind::kTransaction
            ? "one transaction, with its locks to its end"
        : planned.outcomes.empty()
            ? "nothing more to do"
            : "step by step, each by itself, while others read and write",
        "\n\n");
    for (const RepairOutcome& outcome : planned.outcomes) {
      if (!outcome.reason.empty() && !outcome.step.actions.empty()) {
        absl::StrAppend(
            &text, "-- problem: ",
            absl::StrReplaceAll(outcome.reason, {{"\n", "\n--   "}}), "\n");
      }
      for (const RepairAction& action : outcome.step.actions) {
        AppendAction("", outcome, action, text);
        absl::StrAppend(&text, "\n");
      }
    }
  }
  return text;
}

std::string FormatJson(const MigrationPlan& plan) {
  Json list = Json::array();
  for (const PlannedMigration& planned : plan.migrations) {
    Json statements = Json::array();
    for (const RepairOutcome& outcome : planned.outcomes) {
      for (const RepairAction& action : outcome.step.actions) {
        statements.push_back({{"sql", action.sql},
                              {"lock", TextOrNull(action.lock)},
                              {"rewrites_table", outcome.step.rewrites_table},
                              {"problem", TextOrNull(outcome.reason)}});
      }
    }
    const migrations::Migration& migration = planned.migration;
    const bool is_sql = migration.kind == migrations::Kind::kTransaction;
    list.push_back({{"version", migration.version},
                    {"name", std::string(migration.name)},
                    {"kind", is_sql ? "transaction" : "contract"},
                    {"statements", statements}});
  }
  return Dump({{"warnings", plan.warnings},
               {"obstacles", TextOrNull(plan.obstacles)},
               {"refused", plan.is_refused},
               {"migrations", list}});
}

std::string FormatText(const std::vector<MigrationStatus>& migrations) {
  std::string text;
  for (const MigrationStatus& migration : migrations) {
    const std::string label = Label(migration.version, migration.name);
    if (migration.applied_at.empty()) {
      absl::StrAppendFormat(&text, "%-8s  %s", ToString(migration.state),
                            label);
    } else {
      absl::StrAppendFormat(&text, "%-8s  %-36s  %s", ToString(migration.state),
                            label, migration.applied_at);
    }
    if (migration.duration_ms.has_value() && !migration.baseline) {
      absl::StrAppendFormat(&text, "  %7d ms", *migration.duration_ms);
    }
    if (!migration.role.empty()) {
      absl::StrAppend(&text, "  by ", migration.role, ", version ",
                      migration.tool_version,
                      migration.baseline ? ", as a baseline" : "");
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

std::string FormatJson(const std::vector<MigrationStatus>& migrations) {
  Json list = Json::array();
  for (const MigrationStatus& migration : migrations) {
    list.push_back({{"version", migration.version},
                    {"name", migration.name},
                    {"state", ToString(migration.state)},
                    {"applied_at", TextOrNull(migration.applied_at)},
                    {"started_at", TextOrNull(migration.started_at)},
                    {"duration_ms", migration.duration_ms.has_value()
                                        ? Json(*migration.duration_ms)
                                        : Json(nullptr)},
                    {"role", TextOrNull(migration.role)},
                    {"tool_version", TextOrNull(migration.tool_version)},
                    {"baseline", migration.baseline}});
  }
  return Dump({{"migrations", list}});
}

}  // namespace userprofile::schema
