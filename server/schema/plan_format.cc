#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/schema/history.h"
#include "server/schema/plan.h"

namespace userprofile::schema {
namespace {

using Json = nlohmann::ordered_json;

const char* Name(migrations::Kind kind) {
  switch (kind) {
    case migrations::Kind::kTransaction:
      return "transaction";
    case migrations::Kind::kBatches:
      return "batches";
    case migrations::Kind::kIndex:
      return "index";
  }
  return "";
}

const char* Explanation(migrations::Kind kind) {
  switch (kind) {
    case migrations::Kind::kTransaction:
      return "one transaction, with the strongest of its locks to its end";
    case migrations::Kind::kBatches:
      return "for $1 < user_id <= $2 again and again, in short transactions";
    case migrations::Kind::kIndex:
      return "outside a transaction, while others read and write";
  }
  return "";
}

// Who waits while it is held.
const char* Consequence(const std::string& lock) {
  if (lock == "ACCESS EXCLUSIVE") return "reads and writes wait";
  if (lock == "EXCLUSIVE" || absl::string_view(lock).substr(0, 6) == "SHARE ") {
    return lock == "SHARE UPDATE EXCLUSIVE" ? "nobody waits" : "writes wait";
  }
  return lock == "SHARE" ? "writes wait" : "nobody waits";
}

void AppendStatement(const PlannedStatement& statement, std::string& text) {
  if (!statement.lock.empty()) {
    absl::StrAppend(&text, "-- lock on users: ", statement.lock, " (",
                    Consequence(statement.lock), ")\n");
  }
  if (statement.rewrites_table) {
    absl::StrAppend(&text, "-- REWRITES THE TABLE with that lock held\n");
  }
  if (!statement.problem.empty()) {
    absl::StrAppend(&text, "-- problem: ",
                    absl::StrReplaceAll(statement.problem, {{"\n", "\n--   "}}),
                    "\n");
  }
  absl::StrAppend(&text, statement.sql, ";\n\n");
}

}  // namespace

std::string FormatText(const Plan& plan) {
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
  for (const PlannedMigration& migration : plan.migrations) {
    absl::StrAppend(&text, "-- ==== ", Label(migration.version, migration.name),
                    ": ", Explanation(migration.kind), "\n\n");
    for (const PlannedStatement& statement : migration.statements) {
      AppendStatement(statement, text);
    }
  }
  return text;
}

std::string FormatJson(const Plan& plan) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  Json migrations = Json::array();
  for (const PlannedMigration& migration : plan.migrations) {
    Json statements = Json::array();
    for (const PlannedStatement& statement : migration.statements) {
      statements.push_back({{"sql", statement.sql},
                            {"lock", text_or_null(statement.lock)},
                            {"rewrites_table", statement.rewrites_table},
                            {"problem", text_or_null(statement.problem)}});
    }
    migrations.push_back({{"version", migration.version},
                          {"name", migration.name},
                          {"kind", Name(migration.kind)},
                          {"statements", statements}});
  }
  return Json({{"warnings", plan.warnings},
               {"obstacles", text_or_null(plan.obstacles)},
               {"refused", plan.is_refused},
               {"migrations", migrations}})
      .dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace userprofile::schema
