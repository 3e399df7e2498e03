#ifndef USERPROFILE_SERVER_SCHEMA_REPAIR_H_
#define USERPROFILE_SERVER_SCHEMA_REPAIR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/postgres/session.h"
#include "server/schema/ddl.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// One statement, or script, of a repair.
struct RepairAction {
  enum class Kind {
    kCheck,         // reads: refuses the step if it returns a text
    kTransaction,   // in one transaction, with short waits for locks
    kBatches,       // a few users at a time (InBatches)
    kConcurrently,  // outside any transaction, beside all traffic
  };
  Kind kind;
  std::string sql;

  // The lock on users that it takes, by PostgreSQL's name; empty for none.
  std::string lock;

  // kCheck: what a person should do, after the text that was returned.
  std::string advice = {};

  // kBatches: a query for whether there is anything to do.
  std::string needed = {};

  // kTransaction, kConcurrently: what clears away the remains if it fails, run
  // in the same way; or nothing.
  std::string clear_away = {};
};

// How one or more breaches are mended, independently of others; or why not.
struct RepairStep {
  std::vector<std::string> objects;  // of the breaches
  std::vector<RepairAction> actions;

  // The table is written anew, and nobody can read or write it meanwhile.
  bool rewrites_table = false;

  // What a person must do; empty if there are actions.
  std::string refusal = {};

  // Of what only the rows and the settings of the table say: a query for
  // whether it is to be done.
  std::string needed = {};

  // Alters columns to which others may have tied something that forbids it.
  bool alters_columns = false;

  // Of the breaches; of `needed`, what it costs to do without the step.
  Severity severity = Severity::kBlocking;
};

// What mends the breaches that were found, in this order: columns, the primary
// key, rows, indexes, other tables and rights; last, what is refused. Nothing
// of it drops or changes a value, a column or a row; no index either, but one
// of ours that is not as it should be, while another one that has its name is
// renamed. Where NULL must not be, it is replaced by what it meant to the bots;
// and a revision below 1, with which its user would look new, by 1.
//
// To stop at any action does no harm, and a new plan goes on from there.
std::vector<RepairStep> PlanRepair(const Report& report);

struct RepairOutcome {
  enum class State { kPlanned, kDone, kRefused };
  RepairStep step;
  State state = State::kPlanned;
  // Of a refusal: what is the matter, and what to do.
  std::string reason = {};
};

struct RepairResult {
  std::vector<RepairOutcome> outcomes;  // in the order of PlanRepair
  Report report;  // what is so afterwards; of a dry run, what is so now

  // Whether nothing is wrong, and all was done that the rows ask for.
  bool is_as_needed() const;
};

struct RepairOptions : DdlOptions {
  // Say what would be done, and do nothing.
  bool dry_run = false;

  // The role that serves, whose rights are looked at; empty for the session's.
  std::string role;

  // Called once with the plan, before the first change, if there is anything to
  // change: to make a backup. An error ends the repair before it began.
  std::function<absl::Status(const RepairResult& plan)> before_first_change =
      [](const RepairResult&) { return absl::OkStatus(); };

  // Whether a lock that is not to be had ends the repair, with ABORTED, rather
  // than refuse a step.
  bool needs_locks = false;
};

// The one thing that changes users so that it is as the contract asks, as far
// as that is possible without a person's decision: for `schema repair`, for
// `migrate up`, and to say beforehand what they would do. PlanRepair says what
// is done and what never is. Each step stands for itself: what one can't do is
// refused, and the others go on. Works while the table is in use. Killed at any
// point, the next run goes on from there; a run that finds nothing wrong does
// nothing.
//
// Errors, beside those of postgres::Session, LockSchema, CheckOwner and
// Inspect: UNAVAILABLE: some steps may be done; run it again.
class Repairer {
 public:
  // `connect` must reach the server itself, or a pooler in session mode.
  Repairer(const postgres::SessionFactory& connect, RepairOptions options);

  // Connects, and becomes the only one who changes the schema; but for a dry
  // run. First of all. Errors are those of CheckOwner, too.
  absl::Status Begin();

  // Looks at the table, makes the plan, and finds what would be refused: by
  // reading, and by altering columns of an empty temporary copy. Errors are
  // those of CheckOwner, too.
  absl::Status Plan();

  // Does what is planned, looks again, and says what did not help.
  absl::Status Run();

  // What is refused of what was or would be done, and the service can't do
  // without: a line for each. What only a person can do is not in it.
  std::string Refusals() const;

  bool HasWork() const;
  postgres::Session& session() { return *session_; }  // until Run
  const RepairResult& result() const { return result_; }

 private:
  absl::StatusOr<Report> InspectNow();
  absl::Status Reconnect();
  absl::Status RefuseFor(RepairOutcome& outcome, const absl::Status& status);
  absl::StatusOr<bool> IsNeeded(const RepairStep& step);
  absl::Status RefuseWhereTypesAreKept();
  absl::Status TryOnCopy();
  void FindFutility();
  void AddNewRefusals();

  absl::Status RunStep(RepairOutcome& outcome);
  absl::Status RunAction(RepairOutcome& outcome, const RepairAction& action,
                         const std::string& label);
  void ClearAway(const RepairAction& action, const std::string& label);
  absl::StatusOr<postgres::Rows> Transaction(const std::string& sql,
                                             const std::string& label);

  const postgres::SessionFactory connect_;
  const RepairOptions options_;
  std::unique_ptr<postgres::Session> session_;
  RepairResult result_;
};

// Begin, Plan, and Run if there is work and it is no dry run.
absl::StatusOr<RepairResult> Repair(const postgres::SessionFactory& connect,
                                    const RepairOptions& options);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REPAIR_H_
