#ifndef USERPROFILE_SERVER_STORE_SCANS_H_
#define USERPROFILE_SERVER_STORE_SCANS_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/store/lane.h"
#include "server/store/profile_store.h"
#include "server/store/session_executor.h"

// What the lane of scans carries out: looks at parts of the table, and what
// they need to go on from.
namespace userprofile::store {

// One that has a statement, or some, of its own.
struct ScanOperation final : SqlOperation {
  using Run =
      std::function<absl::Status(SessionExecutor& by, absl::Status& result)>;

  ScanOperation(Run r, CallContext context, Done done)
      : SqlOperation(std::move(context), std::move(done)), run(std::move(r)) {}

  const Run run;  // sets the operation's result
};

std::unique_ptr<Operation> MakeScan(ScanCall call, CallContext context,
                                    Done done);
std::unique_ptr<Operation> MakeTokenKeyRead(std::string* key,
                                            CallContext context, Done done);

// Carries out a batch, which is one of them.
absl::Status RunScans(SessionExecutor& by, SessionExecutor::Batch batch,
                      absl::Time now);

// For sessions that do: by the primary key from one user to the next, which
// ends with the page; by one process, which leaves the others to those who wait
// for one user.
inline constexpr char kScanSettings[] =
    "; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0;"
    " SET jit = off";

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_SCANS_H_
