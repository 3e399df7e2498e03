#ifndef USERPROFILE_SERVER_STORE_LANE_H_
#define USERPROFILE_SERVER_STORE_LANE_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/ops/log_limiter.h"
#include "server/store/batch_executor.h"

namespace userprofile::ops {
class LaneMetrics;
}

namespace userprofile::store {

// Batches operations of one kind without a timer. A few workers, each with an
// executor of its own, take whatever waits, up to a cap, and carry it out as
// one statement. A lone operation leaves at once; batches form only out of the
// waiting that a busy database causes.
//
// What the lane promises, whatever fails:
//  - Every operation is answered exactly once: Done is called with OK after it
//    took effect, or with one of the errors of errors.h.
//  - Operations that the executor will not put in one batch (two writes to one
//    user) go in different ones.
//  - One operation can't harm its batch: where a statement fails on data, or
//    has to give way, its halves are run apart until the culprit fails alone;
//    where it loses the connection twice in a row, as one does that crashes
//    PostgreSQL, its halves go into batches of their own. An operation that
//    gave way alone, or lost the connection alone, waits behind the others.
//  - An operation whose deadline has passed, or whose caller gave up, is
//    dropped before it costs a statement.
//  - While the database is away, operations wait for it until their deadlines.
//    After a connection was lost during a statement, idempotent operations are
//    tried again; others fail with OutcomeUnknown.
//  - No more than max_in_flight operations are held; a further one is refused.
//
// Thread-safe. Done is called from a worker's thread, or from Submit's caller
// if the operation is refused; never under the lane's lock.
class Lane {
 public:
  struct Options {
    // How many workers, and so connections. Two keep the database busy while
    // answers are sent; more make batches smaller.
    int workers = 2;

    // At most this many operations share a statement. 1 turns batching off.
    std::size_t max_batch = 256;

    // At most this many operations are held, waiting or executing.
    std::size_t max_in_flight = 8192;

    // Whether an operation may run again after a run of unknown outcome.
    bool idempotent = true;

    // A worker that failed pauses, at first this long, then longer with each
    // failure in a row, up to the maximum; jittered.
    absl::Duration min_backoff = absl::Milliseconds(5);
    absl::Duration max_backoff = absl::Milliseconds(250);

    // Called when a statement fails because the schema is not what it needs;
    // returns what to answer. May block for a moment.
    std::function<absl::Status()> explain_schema_error;

    // Not owned, may be null.
    ops::LaneMetrics* metrics = nullptr;

    base::Clock clock = absl::Now;
  };

  using ExecutorFactory = std::function<std::unique_ptr<BatchExecutor>()>;

  // Starts the workers; `make_executor` is called here, once for each.
  Lane(Options options, const ExecutorFactory& make_executor);

  // Shuts down without waiting for the queue.
  ~Lane();

  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void Submit(std::unique_ptr<Operation> operation);

  // Refuses further operations, carries out those that wait, and returns when
  // all are answered; those that still wait at `deadline` (of the system's
  // clock) are answered with ShuttingDown. Repeated calls are harmless; a
  // concurrent one with an earlier deadline shortens the wait.
  void Shutdown(absl::Time deadline);

 private:
  using Operations = std::vector<std::unique_ptr<Operation>>;

  // A worker's loop: collect a batch, run it, answer it, until shutdown.
  void Work(BatchExecutor& executor);

  // Waits for operations and takes a batch of them; false once the lane has
  // shut down. Those that are of no use any more go to `dropped`.
  bool Collect(BatchExecutor& executor, Operations& batch, Operations& dropped);

  // Runs the batch, answers what is decided, and puts the rest back into the
  // queue; whether anything was decided.
  bool Run(BatchExecutor& executor, Operations batch);
  void RunPart(BatchExecutor& executor, std::vector<Operation*> part);

  // Why the operation should not be run any more; OK if it should.
  absl::Status Verdict(const Operation& operation, absl::Time now) const;

  // Logs what became of a statement over `size` requests, but does not let a
  // failure that happens to everybody flood the log.
  void Log(const char* outcome, std::size_t size, const absl::Status& failure);

  // What to answer when a statement failed for good.
  absl::Status Translate(const absl::Status& failure) const;

  void Drop(Operation& operation, absl::Status verdict);
  void Answer(Operation& operation, absl::Status status);
  void PauseAfterFailure(int failures_in_a_row);

  const Options options_;
  ops::LogLimiter log_limiter_{5, absl::Seconds(1)};
  std::atomic<std::size_t> in_flight_ = 0;

  base::Mutex mutex_;
  base::CondVar work_available_;  // or shutting down
  base::CondVar changed_;         // a worker ended, or the shutdown went on
  std::deque<std::unique_ptr<Operation>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandon_queue_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time stop_deadline_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  int running_workers_ ABSL_GUARDED_BY(mutex_) = 0;

  base::Mutex join_mutex_;
  std::vector<std::thread> workers_ ABSL_GUARDED_BY(join_mutex_);
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_LANE_H_
