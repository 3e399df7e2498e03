#include "server/schema/repair.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "server/postgres/errors.h"
#include "server/schema/inspector.h"

namespace userprofile::schema {
namespace {

using Kind = RepairAction::Kind;
using State = RepairOutcome::State;

constexpr int kBuildAttempts = 3;

// What PostgreSQL said, without what the layers below put before it.
absl::string_view ServersWords(const absl::Status& status) {
  absl::string_view text = status.message();
  if (const std::size_t at = text.find(":  "); at != absl::string_view::npos) {
    text.remove_prefix(at + 3);
  }
  return text;
}

// What a person should do about a statement that PostgreSQL refused.
std::string Explain(const absl::Status& status) {
  const std::string state = postgres::SqlState(status);
  const std::string words =
      absl::StrCat("PostgreSQL says \"", ServersWords(status), "\"");
  if (state == "0A000" || state == "2BP01") {
    return absl::StrCat(words,
                        ": drop what depends on the column, repair, and create "
                        "it again");
  }
  if (state == "42501") {
    return absl::StrCat(words, ": repair as the role that owns users");
  }
  if (state == "55P03" || state == "40P01" || state == "40001") {
    return absl::StrCat("others held the table all the time (", words,
                        "): run this again when their transactions are over");
  }
  if (state == "42703") {
    return absl::StrCat(words, ": that column must be mended first");
  }
  return absl::StrCat(words, ": mend that by hand, then run this again");
}

class Repairer {
 public:
  Repairer(const postgres::SessionFactory& connect,
           const RepairOptions& options)
      : connect_(connect), options_(options) {}

  absl::StatusOr<RepairResult> Run() {
    USERPROFILE_RETURN_IF_ERROR(Reconnect());
    USERPROFILE_ASSIGN_OR_RETURN(result_.report, InspectNow());
    for (RepairStep& step : PlanRepair(result_.report)) {
      result_.outcomes.push_back({std::move(step)});
    }
    USERPROFILE_RETURN_IF_ERROR(FindRefusals());
    if (options_.dry_run || !HasWork()) return std::move(result_);

    USERPROFILE_RETURN_IF_ERROR(options_.before_first_change(result_));
    for (RepairOutcome& outcome : result_.outcomes) {
      if (outcome.state == State::kPlanned) {
        USERPROFILE_RETURN_IF_ERROR(RunStep(outcome));
      }
    }
    USERPROFILE_ASSIGN_OR_RETURN(result_.report, InspectNow());
    FindFutility();
    AddNewRefusals();
    return std::move(result_);
  }

 private:
  // Even to look waits for whoever alters the table.
  absl::StatusOr<Report> InspectNow() {
    Report report;
    USERPROFILE_RETURN_IF_ERROR(InDdlTransaction(
        *session_, options_, "an inspection", [&]() -> absl::Status {
          USERPROFILE_ASSIGN_OR_RETURN(
              report,
              Inspect(*session_, migrations::Embedded(), options_.role));
          return absl::OkStatus();
        }));
    return report;
  }

  bool HasWork() const {
    return std::any_of(
        result_.outcomes.begin(), result_.outcomes.end(),
        [](const RepairOutcome& o) { return o.state == State::kPlanned; });
  }

  // After UNAVAILABLE a session can't be used any more, not even where that is
  // PostgreSQL's way of saying that a feature is missing.
  absl::Status Reconnect() {
    if (session_ != nullptr && session_->healthy()) return absl::OkStatus();
    session_ = nullptr;  // lets the lock go
    USERPROFILE_ASSIGN_OR_RETURN(session_, connect_());
    return options_.dry_run ? absl::OkStatus()
                            : LockSchema(*session_, options_);
  }

  static void Refuse(RepairOutcome& outcome, std::string reason) {
    outcome.state = State::kRefused;
    outcome.reason = std::move(reason);
  }

  // An error that says something of the step, or one of the whole repair.
  absl::Status RefuseFor(RepairOutcome& outcome, const absl::Status& status) {
    if (postgres::SqlState(status).empty()) return status;
    Refuse(outcome, Explain(status));
    return Reconnect();
  }

  // Reads what a step requires, so that a dry run tells the truth, and nothing
  // is torn down that could not be built again.
  absl::Status FindRefusals() {
    for (RepairOutcome& outcome : result_.outcomes) {
      if (!outcome.step.refusal.empty()) Refuse(outcome, outcome.step.refusal);
      for (const RepairAction& action : outcome.step.actions) {
        if (action.kind != Kind::kRequireNone) continue;
        const absl::Status status = RequireNone(outcome, action);
        // What it reads may be among what is to be added.
        if (status.ok() || postgres::SqlState(status) == "42703") continue;
        USERPROFILE_RETURN_IF_ERROR(RefuseFor(outcome, status));
      }
    }
    return absl::OkStatus();
  }

  // Of steps that left what they were to mend: a right that was not ours to
  // grant, a column that somebody dropped again.
  void FindFutility() {
    for (RepairOutcome& outcome : result_.outcomes) {
      if (outcome.state != State::kDone) continue;
      for (const Breach& breach : result_.report.breaches) {
        const auto& objects = outcome.step.objects;
        if (breach.fault != Fault::kForPerson &&
            std::count(objects.begin(), objects.end(), breach.object) > 0) {
          Refuse(outcome, absl::StrCat("it was done, and did not help: ",
                                       Describe(breach),
                                       "; do it as the role "
                                       "that owns users: ",
                                       breach.remedy));
        }
      }
    }
  }

  // Of what came up meanwhile: a unique index that was set aside may refuse a
  // user as before.
  void AddNewRefusals() {
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

  absl::Status RunStep(RepairOutcome& outcome) {
    const std::string label = absl::StrJoin(outcome.step.objects, ", ");
    spdlog::info("repairing {}", label);
    for (const RepairAction& action : outcome.step.actions) {
      const absl::Status status = RunAction(outcome, action, label);
      if (!status.ok()) {
        USERPROFILE_RETURN_IF_ERROR(RefuseFor(outcome, status));
        ClearAway(action, label);
        return absl::OkStatus();
      }
      if (outcome.state == State::kRefused) return absl::OkStatus();
    }
    outcome.state = State::kDone;
    return absl::OkStatus();
  }

  absl::Status RunAction(RepairOutcome& outcome, const RepairAction& action,
                         const std::string& label) {
    switch (action.kind) {
      case Kind::kRequireNone:
        return RequireNone(outcome, action);
      case Kind::kTransaction:
        return Transaction(action.sql, label).status();
      case Kind::kBatches:
        return Batches(action, label);
      case Kind::kConcurrently:
        return Concurrently(action, label);
    }
    return absl::OkStatus();
  }

  void ClearAway(const RepairAction& action, const std::string& label) {
    if (action.also.empty()) return;
    if (action.kind == Kind::kTransaction) {
      Transaction(action.also, label).status().IgnoreError();
    } else if (action.kind == Kind::kConcurrently) {
      RunConcurrently(*session_, connect_, options_, action.also, label)
          .IgnoreError();
    }
  }

  absl::StatusOr<postgres::Rows> Transaction(const std::string& sql,
                                             const std::string& label) {
    postgres::Rows rows;
    USERPROFILE_RETURN_IF_ERROR(
        InDdlTransaction(*session_, options_, label, [&]() -> absl::Status {
          USERPROFILE_ASSIGN_OR_RETURN(rows, session_->ExecuteScript(sql));
          return absl::OkStatus();
        }));
    return rows;
  }

  absl::Status RequireNone(RepairOutcome& outcome, const RepairAction& action) {
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                                 Transaction(action.sql, "a check"));
    if (!rows.IsNull(0, 0)) {
      Refuse(outcome, absl::StrCat(rows.Text(0, 0), ": ", action.also));
    }
    return absl::OkStatus();
  }

  // Ends, whatever a trigger makes of the rows.
  absl::Status Batches(const RepairAction& action, const std::string& label) {
    USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows count,
                                 Transaction(action.also, label));
    const std::int64_t total = count.Int64(0, 0);
    std::int64_t done = 0;
    while (done < total) {
      USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                                   Transaction(action.sql, label));
      if (rows.affected() == 0) break;
      done += static_cast<std::int64_t>(rows.affected());
      spdlog::info("{}: {} of {} rows", label, done, total);
    }
    return absl::OkStatus();
  }

  absl::Status Concurrently(const RepairAction& action,
                            const std::string& label) {
    for (int attempt = 1;; ++attempt) {
      absl::Status status =
          RunConcurrently(*session_, connect_, options_, action.sql, label);
      if (!absl::IsAborted(status) || attempt == kBuildAttempts) return status;
      ClearAway(action, label);
    }
  }

  const postgres::SessionFactory& connect_;
  const RepairOptions& options_;
  std::unique_ptr<postgres::Session> session_;
  RepairResult result_;
};

}  // namespace

absl::StatusOr<RepairResult> Repair(const postgres::SessionFactory& connect,
                                    const RepairOptions& options) {
  return Repairer(connect, options).Run();
}

}  // namespace userprofile::schema
