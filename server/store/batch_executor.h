#ifndef USERPROFILE_SERVER_STORE_BATCH_EXECUTOR_H_
#define USERPROFILE_SERVER_STORE_BATCH_EXECUTOR_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/steady_time.h"
#include "server/store/profile_store.h"

namespace userprofile::store {

// One request on its way through a lane. Each kind of request derives its own,
// with what its executor needs.
struct Operation {
  Operation(CallContext c, Done d,
            absl::optional<std::int64_t> k = absl::nullopt)
      : context(std::move(c)), done(std::move(d)), key(k) {}
  virtual ~Operation() = default;

  const CallContext context;
  Done done;

  // Those of one key run one at a time, in the order in which they came.
  const absl::optional<std::int64_t> key;

  // The operation's own outcome, set by Execute: an error such as
  // UserNotFound concerns this operation alone, not its batch.
  absl::Status result;

  // Set by Execute: has had no effect yet, and is to be executed again.
  bool again = false;

  // For the lane: when the operation was submitted, whether it has been held up
  // by a database that was away, how many statements with it were lost together
  // with their connection, how many operations its next statement may hold at
  // most, and whether that statement waits behind the others.
  base::SteadyTime submitted;
  bool met_outage = false;
  int lost = 0;
  std::size_t max_batch = std::numeric_limits<std::size_t>::max();
  bool waits_behind = false;
};

// Carries out batches for one worker of a lane, on a connection of its own.
// Used by one thread at a time.
class BatchExecutor {
 public:
  virtual ~BatchExecutor() = default;

  // Makes sure that there is a connection. After an error nothing was sent.
  virtual absl::Status Connect() = 0;

  // Carries out the batch, or a part of it, as one statement, and sets each
  // operation's response and result, or `again`. The keys are all different.
  // After an error (in the vocabulary of postgres::Session) no operation took
  // effect, but where postgres::MayHaveTakenEffect.
  virtual absl::Status Execute(absl::Span<Operation* const> batch) = 0;
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_BATCH_EXECUTOR_H_
