#include "server/schema/repair.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "server/postgres/table_names.h"
#include "server/schema/inspector.h"
#include "server/schema/obstacles.h"

namespace userprofile::schema {
namespace {

using Kind = RepairAction::Kind;
using State = RepairOutcome::State;

constexpr int kBuildAttempts = 3;

void Refuse(RepairOutcome& outcome, std::string reason) {
  outcome.state = State::kRefused;
  outcome.reason = std::move(reason);
}

absl::Status RunAgain(const RepairStep& step, const absl::Status& passing) {
  return base::Annotate(passing,
                        absl::StrCat(absl::StrJoin(step.objects, ", "),
                                     " is left for now, run this again: "));
}

}  // namespace

bool RepairResult::is_as_needed() const {
  return report.breaches.empty() &&
         absl::c_all_of(outcomes, [](const RepairOutcome& outcome) {
           return outcome.state == State::kDone;
         });
}

Repairer::Repairer(const postgres::SessionFactory& connect,
                   RepairOptions options)
    : connect_(connect), options_(std::move(options)) {}

absl::Status Repairer::Begin() {
  USERPROFILE_RETURN_IF_ERROR(Reconnect());
  return CheckOwner(*session_);
}

absl::Status Repairer::Plan() {
  result_.outcomes.clear();
  // Again: it may have been made since.
  USERPROFILE_RETURN_IF_ERROR(CheckOwner(*session_));
  USERPROFILE_ASSIGN_OR_RETURN(result_.report, InspectNow());
  for (RepairStep& step : PlanRepair(result_.report)) {
    USERPROFILE_ASSIGN_OR_RETURN(const bool needed, IsNeeded(step));
    if (needed) result_.outcomes.push_back({std::move(step)});
  }
  // So that a dry run tells the truth, and nothing is torn down that could not
  // be built again.
  for (RepairOutcome& outcome : result_.outcomes) {
    if (!outcome.step.refusal.empty()) Refuse(outcome, outcome.step.refusal);
    for (const RepairAction& action : outcome.step.actions) {
      if (action.kind != Kind::kCheck || outcome.state == State::kRefused) {
        continue;
      }
      const absl::Status status = RunAction(outcome, action, "a check");
      // What it reads may be among what is to be added.
      if (status.ok() || postgres::SqlState(status) == "42703") continue;
      USERPROFILE_RETURN_IF_ERROR(RefuseFor(outcome, status));
    }
  }
  USERPROFILE_RETURN_IF_ERROR(RefuseWhereTypesAreKept());
  return TryOnCopy();
}

absl::Status Repairer::Run() {
  for (RepairOutcome& outcome : result_.outcomes) {
    if (outcome.state == State::kPlanned) {
      USERPROFILE_RETURN_IF_ERROR(RunStep(outcome));
    }
  }
  USERPROFILE_ASSIGN_OR_RETURN(result_.report, InspectNow());
  FindFutility();
  AddNewRefusals();
  return absl::OkStatus();
}

std::string Repairer::Refusals() const {
  std::vector<std::string> lines;
  for (const RepairOutcome& outcome : result_.outcomes) {
    if (outcome.state == State::kRefused && !outcome.step.actions.empty() &&
        outcome.step.severity == Severity::kBlocking) {
      lines.push_back(absl::StrCat(absl::StrJoin(outcome.step.objects, ", "),
                                   ": ", outcome.reason));
    }
  }
  return absl::StrJoin(lines, "\n");
}

bool Repairer::HasWork() const {
  return std::any_of(
      result_.outcomes.begin(), result_.outcomes.end(),
      [](const RepairOutcome& o) { return o.state == State::kPlanned; });
}

// Even to look waits for whoever alters the table.
absl::StatusOr<Report> Repairer::InspectNow() {
  Report report;
  USERPROFILE_RETURN_IF_ERROR(InDdlTransaction(
      *session_, options_, "an inspection", [&]() -> absl::Status {
        USERPROFILE_ASSIGN_OR_RETURN(
            report, Inspect(*session_, migrations::Embedded(), options_.role));
        return absl::OkStatus();
      }));
  return report;
}

// After UNAVAILABLE a session can't be used any more, not even where that is
// PostgreSQL's way of saying that a feature is missing.
absl::Status Repairer::Reconnect() {
  if (session_ != nullptr && session_->healthy()) return absl::OkStatus();
  session_ = nullptr;  // lets the lock go
  USERPROFILE_ASSIGN_OR_RETURN(session_, connect_());
  return options_.dry_run ? absl::OkStatus() : LockSchema(*session_, options_);
}

// An error that says something of the table; else one of the whole repair,
// which passes, as a full disk does.
absl::Status Repairer::RefuseFor(RepairOutcome& outcome,
                                 const absl::Status& status) {
  if (postgres::SqlState(status).empty()) return status;
  if (IsForLock(status) ? options_.needs_locks : !IsOfTable(status)) {
    return RunAgain(outcome.step, status);
  }
  USERPROFILE_RETURN_IF_ERROR(Reconnect());
  Refuse(outcome, ExplainRefusal(*session_, outcome.step.objects, status));
  return absl::OkStatus();
}

// Not where the role may not look, or a column is missing or of a type that is
// refused or mended first.
absl::StatusOr<bool> Repairer::IsNeeded(const RepairStep& step) {
  if (step.needed.empty()) return true;
  const auto rows = Transaction(step.needed, "a look at the rows");
  if (rows.ok()) return rows->Bool(0, 0);
  constexpr absl::string_view kNothingToLookAt[] = {"42P01", "42703", "42883",
                                                    "42804", "42501"};
  if (absl::c_linear_search(kNothingToLookAt,
                            postgres::SqlState(rows.status()))) {
    return false;
  }
  return RunAgain(step, rows.status());
}

absl::Status Repairer::RefuseWhereTypesAreKept() {
  std::set<std::string> said;
  for (RepairOutcome& outcome : result_.outcomes) {
    if (!outcome.step.alters_columns || outcome.state != State::kPlanned ||
        outcome.step.severity != Severity::kBlocking) {
      continue;
    }
    std::vector<std::string> lines;
    USERPROFILE_RETURN_IF_ERROR(InDdlTransaction(
        *session_, options_, "a look at what depends on columns",
        [&]() -> absl::Status {
          USERPROFILE_ASSIGN_OR_RETURN(
              lines, FindWhatKeepsTypes(*session_, result_.report,
                                        outcome.step.objects));
          return absl::OkStatus();
        }));
    if (lines.empty()) continue;
    // One view can keep many.
    std::vector<std::string> fresh;
    for (const std::string& line : lines) {
      if (said.insert(line).second) fresh.push_back(line);
    }
    Refuse(outcome, fresh.empty() ? "what keeps another one keeps it as well"
                                  : absl::StrJoin(fresh, "\n"));
  }
  return absl::OkStatus();
}

// PostgreSQL does not alter a column under everything that may be built on it.
// Whether it does is seen on a copy without rows, so before anything is
// changed. Objects outside the table are not copied.
absl::Status Repairer::TryOnCopy() {
  const auto is_tried = [](const RepairOutcome& outcome) {
    return outcome.step.alters_columns && outcome.state == State::kPlanned;
  };
  if (std::none_of(result_.outcomes.begin(), result_.outcomes.end(),
                   is_tried)) {
    return absl::OkStatus();
  }
  std::map<RepairOutcome*, absl::Status> failures;
  const std::string ours =
      postgres::NameTables("TABLE :users", result_.report.schema);
  const auto attempt = [&](const std::string& sql) {
    absl::Status status =
        session_->ExecuteScript(absl::StrCat("SAVEPOINT trial; ", sql))
            .status();
    if (!status.ok()) {
      session_->ExecuteScript("ROLLBACK TO trial").status().IgnoreError();
    }
    return status;
  };
  USERPROFILE_RETURN_IF_ERROR(
      InDdlTransaction(*session_, options_, "a trial", [&]() -> absl::Status {
        absl::Status made = attempt(
            "CREATE TEMP TABLE users (LIKE :users INCLUDING ALL) ON COMMIT "
            "DROP");
        // Not without the rights.
        if (!made.ok()) return IsOfTable(made) ? absl::OkStatus() : made;
        for (RepairOutcome& outcome : result_.outcomes) {
          if (!is_tried(outcome)) continue;
          for (const RepairAction& action : outcome.step.actions) {
            const absl::Status status = attempt(absl::StrReplaceAll(
                action.sql, {{ours, "TABLE pg_temp.users"}}));
            if (!status.ok()) failures[&outcome] = status;
          }
        }
        return absl::OkStatus();
      }));
  for (const auto& [outcome, status] : failures) {
    USERPROFILE_RETURN_IF_ERROR(RefuseFor(*outcome, status));
  }
  return absl::OkStatus();
}

// Of steps that left what they were to mend: a right that was not ours to
// grant, a column that somebody dropped again.
void Repairer::FindFutility() {
  for (RepairOutcome& outcome : result_.outcomes) {
    if (outcome.state != State::kDone) continue;
    for (const Breach& breach : result_.report.breaches) {
      const auto is_of = [&](const RepairOutcome& o) {
        return absl::c_linear_search(o.step.objects, breach.object);
      };
      // Else it may be what that step was to mend.
      const bool another_was_refused =
          absl::c_any_of(result_.outcomes, [&](const RepairOutcome& o) {
            return o.state == State::kRefused && is_of(o);
          });
      if (breach.fault != Fault::kForPerson && is_of(outcome) &&
          !another_was_refused) {
        Refuse(outcome,
               absl::StrCat(
                   "it was done, and did not help: ", Describe(breach),
                   "; do it as the role that owns users: ", breach.remedy));
      }
    }
  }
}

// Of what came up meanwhile: a unique index that was set aside may refuse a
// user as before.
void Repairer::AddNewRefusals() {
  for (RepairStep& step : PlanRepair(result_.report)) {
    const bool known = std::any_of(
        result_.outcomes.begin(), result_.outcomes.end(),
        [&](const RepairOutcome& o) { return o.reason == step.refusal; });
    if (step.refusal.empty() || known) continue;
    RepairOutcome& outcome = result_.outcomes.emplace_back();
    Refuse(outcome, step.refusal);
    outcome.step = std::move(step);
  }
}

absl::Status Repairer::RunStep(RepairOutcome& outcome) {
  const std::string label = absl::StrJoin(outcome.step.objects, ", ");
  const base::SteadyTime start = base::SteadyTime::Now();
  spdlog::info("repairing {}", label);
  for (const RepairAction& action : outcome.step.actions) {
    const absl::Status status = RunAction(outcome, action, label);
    if (!status.ok()) {
      absl::Status passing = RefuseFor(outcome, status);
      if (!postgres::SqlState(status).empty() && session_ != nullptr &&
          session_->healthy()) {
        ClearAway(action, label);
      }
      return passing;
    }
    if (outcome.state == State::kRefused) return absl::OkStatus();
  }
  outcome.state = State::kDone;
  spdlog::info("repaired {} in {}", label,
               absl::FormatDuration(base::SteadyTime::Now() - start));
  return absl::OkStatus();
}

absl::Status Repairer::RunAction(RepairOutcome& outcome,
                                 const RepairAction& action,
                                 const std::string& label) {
  switch (action.kind) {
    case Kind::kCheck: {
      USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                                   Transaction(action.sql, label));
      if (!rows.IsNull(0, 0)) {
        Refuse(outcome, absl::StrCat(rows.Text(0, 0), "; ", action.advice));
      }
      return absl::OkStatus();
    }
    case Kind::kTransaction:
      return Transaction(action.sql, label).status();
    case Kind::kBatches: {
      USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows any,
                                   Transaction(action.needed, label));
      return any.Bool(0, 0) ? InBatches(*session_, options_, action.sql, label)
                            : absl::OkStatus();
    }
    case Kind::kConcurrently:
      break;
  }
  for (int attempt = 1;; ++attempt) {
    absl::Status status =
        RunConcurrently(*session_, connect_, options_, action.sql, label);
    if (!absl::IsAborted(status) || attempt == kBuildAttempts) return status;
    ClearAway(action, label);
  }
}

void Repairer::ClearAway(const RepairAction& action, const std::string& label) {
  if (action.clear_away.empty()) return;
  if (action.kind == Kind::kTransaction) {
    Transaction(action.clear_away, label).status().IgnoreError();
  } else if (action.kind == Kind::kConcurrently) {
    RunConcurrently(*session_, connect_, options_, action.clear_away, label)
        .IgnoreError();
  }
}

absl::StatusOr<postgres::Rows> Repairer::Transaction(const std::string& sql,
                                                     const std::string& label) {
  postgres::Rows rows;
  USERPROFILE_RETURN_IF_ERROR(
      InDdlTransaction(*session_, options_, label, [&]() -> absl::Status {
        USERPROFILE_ASSIGN_OR_RETURN(rows, session_->ExecuteScript(sql));
        return absl::OkStatus();
      }));
  return rows;
}

absl::StatusOr<RepairResult> Repair(const postgres::SessionFactory& connect,
                                    const RepairOptions& options) {
  Repairer repairer(connect, options);
  USERPROFILE_RETURN_IF_ERROR(repairer.Begin());
  USERPROFILE_RETURN_IF_ERROR(repairer.Plan());
  if (repairer.HasWork() && !options.dry_run) {
    USERPROFILE_RETURN_IF_ERROR(options.before_first_change(repairer.result()));
    USERPROFILE_RETURN_IF_ERROR(repairer.Run());
  }
  return repairer.result();
}

}  // namespace userprofile::schema
