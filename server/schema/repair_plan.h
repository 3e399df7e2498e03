#ifndef USERPROFILE_SERVER_SCHEMA_REPAIR_PLAN_H_
#define USERPROFILE_SERVER_SCHEMA_REPAIR_PLAN_H_

#include <string>
#include <vector>

#include "server/schema/report.h"

namespace userprofile::schema {

// One statement, or script, of a repair.
struct RepairAction {
  enum class Kind {
    kRequireNone,   // reads: refuses the step if it returns a text
    kTransaction,   // in one transaction, with short waits for locks
    kBatches,       // a few rows at a time, each time in a transaction
    kConcurrently,  // outside any transaction, beside all traffic
  };
  Kind kind;
  std::string sql;

  // kRequireNone: what a person should do, after the text that was returned.
  // kBatches: a query for how many rows there are to do.
  // Else: what clears away the remains if it fails, run in the same way; or
  // nothing.
  std::string also = {};
};

// How one or more breaches are mended, independently of others; or why not.
struct RepairStep {
  std::vector<std::string> objects;  // of the breaches
  std::vector<RepairAction> actions;

  // The table is written anew, and nobody can read or write it meanwhile.
  bool rewrites_table = false;

  // What a person must do; empty if there are actions.
  std::string refusal = {};
};

// What mends the breaches that were found, in this order: columns, the primary
// key, indexes, rights; last, what is refused. Nothing of it drops or changes a
// value, a column or a row; no index either, but one of ours that is not as it
// should be, while another one that has its name is renamed. Where NULL must
// not be, it is replaced by what it meant to the bots.
//
// To stop at any action does no harm, and a new plan goes on from there.
std::vector<RepairStep> PlanRepair(const Report& report);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_REPAIR_PLAN_H_
