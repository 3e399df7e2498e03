#ifndef USERPROFILE_SERVER_SCHEMA_REPAIR_H_
#define USERPROFILE_SERVER_SCHEMA_REPAIR_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/postgres/session.h"
#include "server/schema/ddl.h"
#include "server/schema/repair_plan.h"
#include "server/schema/report.h"

namespace userprofile::schema {

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
};

// Makes the table as the contract asks, as far as that is possible without a
// person's decision; PlanRepair says what is done and what never is. Each step
// stands for itself: what one can't do is refused, and the others go on. Works
// while the table is in use. Holds the lock of the migrator, so that neither
// runs into the other. Killed at any point, the next run goes on from there; a
// run that finds nothing wrong does nothing.
//
// `connect` must reach the server itself, or a pooler in session mode.
//
// Errors, beside those of postgres::Session, LockSchema and Inspect: what
// before_first_change returned. UNAVAILABLE: some steps may be done; run it
// again.
absl::StatusOr<RepairResult> Repair(const postgres::SessionFactory& connect,
                                    const RepairOptions& options);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REPAIR_H_
