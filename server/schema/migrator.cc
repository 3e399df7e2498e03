#include "server/schema/migrator.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "server/postgres/table_names.h"
#include "server/schema/history.h"
#include "server/schema/inspector.h"
#include "server/schema/obstacles.h"
#include "server/schema/repair.h"
#include "server/schema/write_trial.h"

namespace userprofile::schema {
namespace {

using migrations::Migration;
using State = RepairOutcome::State;

// As 001 does.
constexpr char kCreateTable[] =
    "CREATE TABLE :users (user_id bigint PRIMARY KEY, is_active boolean,"
    " created_at timestamp)";

absl::Status Refused(absl::string_view what, absl::string_view why) {
  return base::MakeError(absl::StatusCode::kFailedPrecondition,
                         absl::StrCat(what, why), kMigrationRefused);
}

std::string LabelOf(const Migration& migration) {
  return Label(migration.version, migration.name);
}

RepairOptions RepairOptionsOf(const MigrateOptions& options, bool dry_run) {
  RepairOptions repair;
  static_cast<DdlOptions&>(repair) = options;
  repair.dry_run = dry_run;
  repair.needs_locks = true;
  return repair;
}

class Migrator {
 public:
  Migrator(const postgres::SessionFactory& connect,
           const MigrateOptions& options, bool dry_run = false)
      : options_(options),
        repairer_(connect, RepairOptionsOf(options, dry_run)) {}

  absl::StatusOr<MigrateResult> Up() {
    USERPROFILE_RETURN_IF_ERROR(repairer_.Begin());
    USERPROFILE_ASSIGN_OR_RETURN(const auto history, ReadHistory());
    USERPROFILE_ASSIGN_OR_RETURN(const auto pending, Pending(history));
    if (!pending.empty()) {
      // Before anything is changed.
      USERPROFILE_ASSIGN_OR_RETURN(const std::string refusals,
                                   FindRefusals(pending));
      if (!refusals.empty()) return Refused("nothing was changed: ", refusals);
    }
    USERPROFILE_RETURN_IF_ERROR(InTransaction(
        "history", [&] { return OpenHistory(session()).status(); }));
    for (auto next = pending.begin(); next != pending.end();) {
      const auto group = next;
      do {
        ++next;
      } while (next != pending.end() &&
               (*group)->kind == migrations::Kind::kContract &&
               (*next)->kind == migrations::Kind::kContract);
      USERPROFILE_RETURN_IF_ERROR(
          Apply({group, next}, /*last=*/next == pending.end()));
    }
    if (pending.empty()) {
      // Even to look waits for whoever alters the table.
      USERPROFILE_RETURN_IF_ERROR(
          InTransaction("the check", [&] { return CheckContract(); }));
    }
    if (auto breach = TryToWrite(session(), result_.report)) {
      spdlog::warn("{}; {}", Describe(*breach), breach->remedy);
      result_.report.breaches.push_back(*std::move(breach));
    }
    return std::move(result_);
  }

  absl::StatusOr<MigrateResult> Baseline() {
    USERPROFILE_RETURN_IF_ERROR(repairer_.Begin());
    USERPROFILE_RETURN_IF_ERROR(
        InTransaction("baseline", [&] { return RecordAll(); }));
    return std::move(result_);
  }

  absl::StatusOr<MigrationPlan> Plan() {
    USERPROFILE_RETURN_IF_ERROR(repairer_.Begin());
    USERPROFILE_ASSIGN_OR_RETURN(const auto history, ReadHistory());
    MigrationPlan plan;
    std::vector<const Migration*> pending;
    for (const MigrationStatus& entry : history) {
      if (entry.state == MigrationState::kApplied) continue;
      if (entry.state != MigrationState::kPending) {
        plan.warnings.push_back(Explain(entry));
      }
      plan.is_refused = plan.is_refused || Forbids(entry);
      if (IsToDo(entry.state)) pending.push_back(Find(entry.version));
    }
    if (!pending.empty()) {
      USERPROFILE_ASSIGN_OR_RETURN(plan.obstacles, FindRefusals(pending));
    }
    plan.is_refused = plan.is_refused || !plan.obstacles.empty();

    std::vector<RepairOutcome> steps;
    absl::Status status;
    if (pending.empty()) {
      status = InTransaction("the check", [&] { return CheckContract(); });
    } else if (AsksForContract(pending)) {
      status = PlanSteps(plan.is_refused, steps);
    }
    if (IsOfTable(status)) {
      plan.obstacles = ExplainRefusal(session(), {}, status);
    } else if (!result_.report.ToStatus().ok()) {
      plan.obstacles = std::string(status.message());
    } else {
      USERPROFILE_RETURN_IF_ERROR(status);
    }
    plan.is_refused = plan.is_refused || !status.ok();
    USERPROFILE_ASSIGN_OR_RETURN(const std::string schema,
                                 session().FindTables());
    for (const Migration* migration : pending) {
      PlannedMigration& planned = plan.migrations.emplace_back();
      planned.migration = *migration;
      if (migration->kind == migrations::Kind::kContract) {
        planned.outcomes = std::exchange(steps, {});
        continue;
      }
      absl::string_view sql = migration->sql;
      sql.remove_suffix(sql.size() - sql.find_last_not_of(" ;\n") - 1);
      RepairOutcome& outcome = planned.outcomes.emplace_back();
      outcome.step.actions.push_back(
          {RepairAction::Kind::kTransaction, postgres::NameTables(sql, schema),
           absl::StrContains(sql, "ALTER TABLE :users") ? "ACCESS EXCLUSIVE"
                                                        : ""});
    }
    return plan;
  }

 private:
  postgres::Session& session() { return repairer_.session(); }

  absl::Status InTransaction(absl::string_view label,
                             absl::FunctionRef<absl::Status()> body) {
    return InDdlTransaction(session(), options_, label, body);
  }

  absl::StatusOr<std::vector<MigrationStatus>> ReadHistory() {
    return ReadMigrationStatus(session(), options_.migrations);
  }

  // Whether nothing may be done because of it.
  bool Forbids(const MigrationStatus& entry) const {
    return entry.state == MigrationState::kChanged ||
           (entry.state == MigrationState::kLate && !options_.out_of_order);
  }

  const Migration* Find(int version) const {
    return std::find_if(options_.migrations.begin(), options_.migrations.end(),
                        [&](const Migration& migration) {
                          return migration.version == version;
                        });
  }

  absl::StatusOr<std::vector<const Migration*>> Pending(
      const std::vector<MigrationStatus>& history) {
    std::vector<const Migration*> pending;
    for (const MigrationStatus& entry : history) {
      if (Forbids(entry)) {
        return base::MakeError(
            absl::StatusCode::kFailedPrecondition,
            absl::StrCat("nothing was done: migration ", Explain(entry)),
            entry.state == MigrationState::kLate ? kMigrationLate
                                                 : kMigrationChanged,
            {{"migration", Label(entry.version, entry.name)}});
      }
      if (entry.state == MigrationState::kLate ||
          entry.state == MigrationState::kUnknown) {
        spdlog::warn("migration {}", Explain(entry));
      }
      if (IsToDo(entry.state)) pending.push_back(Find(entry.version));
    }
    return pending;
  }

  static bool AsksForContract(const std::vector<const Migration*>& migrations) {
    return std::any_of(migrations.begin(), migrations.end(),
                       [](const Migration* migration) {
                         return migration->kind == migrations::Kind::kContract;
                       });
  }

  // What would be refused, a line for each.
  absl::StatusOr<std::string> FindRefusals(
      const std::vector<const Migration*>& pending) {
    std::vector<std::string> lines;
    std::string obstacles;
    USERPROFILE_RETURN_IF_ERROR(InTransaction("look", [&]() -> absl::Status {
      USERPROFILE_ASSIGN_OR_RETURN(
          obstacles,
          FindObstacles(session(), options_.migrations, options_.new_table));
      return absl::OkStatus();
    }));
    if (!obstacles.empty()) lines.push_back(std::move(obstacles));
    if (AsksForContract(pending)) {
      USERPROFILE_RETURN_IF_ERROR(repairer_.Plan());
      std::string refusals = repairer_.Refusals();
      if (!refusals.empty()) lines.push_back(std::move(refusals));
    }
    return absl::StrJoin(lines, "\n");
  }

  // What the Repairer has planned; without a table, what it would do to the one
  // that is made first, if that is not refused. Nobody has to wait for that.
  absl::Status PlanSteps(bool is_refused,
                         std::vector<RepairOutcome>& outcomes) {
    outcomes = repairer_.result().outcomes;
    if (!repairer_.result().report.schema.empty() || is_refused) {
      return absl::OkStatus();
    }
    absl::Status undo = absl::CancelledError("not to be kept");
    absl::Status status = InTransaction("a trial", [&]() -> absl::Status {
      outcomes.clear();
      USERPROFILE_RETURN_IF_ERROR(
          session().ExecuteScript(kCreateTable).status());
      USERPROFILE_ASSIGN_OR_RETURN(const Report report, Inspect(session()));
      for (RepairStep& step : PlanRepair(report)) {
        if (!step.needed.empty()) {
          USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows needed,
                                       session().ExecuteScript(step.needed));
          if (!needed.Bool(0, 0)) continue;
        }
        outcomes.push_back({std::move(step)});
      }
      return undo;
    });
    return status == undo ? absl::OkStatus() : status;
  }

  // One of SQL, or some that ask for the contract.
  absl::Status Apply(const std::vector<const Migration*>& group, bool last) {
    const std::string label =
        absl::StrCat(LabelOf(*group.front()),
                     group.size() == 1 ? "" : " to " + LabelOf(*group.back()));
    const base::SteadyTime start = base::SteadyTime::Now();
    absl::Status status = group.front()->kind == migrations::Kind::kContract
                              ? AskForContract(label)
                              : absl::OkStatus();
    std::vector<int> applied;
    if (status.ok()) {
      status = InTransaction(label, [&] {
        applied.clear();
        return RunAndRecord(group, start, last, applied);
      });
    }
    USERPROFILE_RETURN_IF_ERROR(ExplainFailure(label, status));
    result_.applied.insert(result_.applied.end(), applied.begin(),
                           applied.end());
    spdlog::info("migration {} applied in {}", label,
                 absl::FormatDuration(base::SteadyTime::Now() - start));
    return absl::OkStatus();
  }

  absl::Status AskForContract(absl::string_view label) {
    USERPROFILE_RETURN_IF_ERROR(repairer_.Plan());
    if (repairer_.HasWork()) USERPROFILE_RETURN_IF_ERROR(repairer_.Run());
    if (const std::string why = repairer_.Refusals(); !why.empty()) {
      return Refused(absl::StrCat("migration ", label, " did all but this: "),
                     why);
    }
    for (const RepairOutcome& outcome : repairer_.result().outcomes) {
      if (outcome.state != State::kRefused || outcome.step.actions.empty()) {
        continue;
      }
      spdlog::warn("done without {}: {}",
                   absl::StrJoin(outcome.step.objects, ", "), outcome.reason);
    }
    return absl::OkStatus();
  }

  absl::Status RunAndRecord(const std::vector<const Migration*>& group,
                            base::SteadyTime start, bool last,
                            std::vector<int>& applied) {
    USERPROFILE_ASSIGN_OR_RETURN(const std::string history,
                                 OpenHistory(session()));
    for (const Migration* migration : group) {
      if (migration->kind == migrations::Kind::kTransaction) {
        USERPROFILE_RETURN_IF_ERROR(
            session().ExecuteScript(migration->sql).status());
      }
      USERPROFILE_ASSIGN_OR_RETURN(
          const bool is_new, RecordMigration(session(), history, *migration,
                                             base::SteadyTime::Now() - start,
                                             options_.tool_version));
      if (is_new) applied.push_back(migration->version);
    }
    return last ? CheckContract() : absl::OkStatus();
  }

  // What became of a migration, in words where it says something of the table.
  absl::Status ExplainFailure(const std::string& label,
                              const absl::Status& status) {
    if (status.ok() || !base::ErrorReason(status).empty() ||
        absl::IsCancelled(status)) {
      return status;
    }
    if (IsOfTable(status)) {
      return Refused(absl::StrCat("migration ", label, " changed nothing: "),
                     ExplainRefusal(session(), {}, status));
    }
    return base::Annotate(status, absl::StrCat("migration ", label, ": "));
  }

  // If the schema is as needed, and else nothing.
  absl::Status RecordAll() {
    result_.applied.clear();
    USERPROFILE_RETURN_IF_ERROR(CheckContract());
    USERPROFILE_ASSIGN_OR_RETURN(const std::string history,
                                 OpenHistory(session()));
    USERPROFILE_ASSIGN_OR_RETURN(const auto entries, ReadHistory());
    for (const MigrationStatus& entry : entries) {
      if (entry.state == MigrationState::kApplied ||
          entry.state == MigrationState::kUnknown) {
        continue;
      }
      const Migration& migration = *Find(entry.version);
      USERPROFILE_RETURN_IF_ERROR(RecordMigration(session(), history, migration,
                                                  absl::ZeroDuration(),
                                                  options_.tool_version, true)
                                      .status());
      result_.applied.push_back(entry.version);
    }
    return absl::OkStatus();
  }

  absl::Status CheckContract() {
    USERPROFILE_ASSIGN_OR_RETURN(result_.report,
                                 Inspect(session(), options_.migrations));
    return result_.report.ToStatus();
  }

  const MigrateOptions& options_;
  Repairer repairer_;
  MigrateResult result_;
};

}  // namespace

absl::StatusOr<MigrateResult> Migrate(const postgres::SessionFactory& connect,
                                      const MigrateOptions& options) {
  return Migrator(connect, options).Up();
}

absl::StatusOr<MigrateResult> Baseline(const postgres::SessionFactory& connect,
                                       const MigrateOptions& options) {
  return Migrator(connect, options).Baseline();
}

absl::StatusOr<MigrationPlan> PlanMigrations(
    const postgres::SessionFactory& connect, const MigrateOptions& options) {
  return Migrator(connect, options, /*dry_run=*/true).Plan();
}

}  // namespace userprofile::schema
