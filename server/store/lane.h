#ifndef USERPROFILE_SERVER_STORE_LANE_H_
#define USERPROFILE_SERVER_STORE_LANE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "ops/logging.h"
#include "server/store/lane_metrics.h"
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

  // For how many operations it counts in a statement and among those that are
  // held, because it costs as much; set before it is submitted.
  std::size_t weight = 1;

  // The operation's own outcome, set by Execute: an error such as
  // UserNotFound concerns this operation alone, not its batch.
  absl::Status result;

  // Set by Execute: has had no effect yet, and is to be executed once more.
  bool retry = false;

  // When it was submitted, to this lane or the one that led here.
  base::SteadyTime submitted;

  // For the lane: what to answer because of a database that was away when it
  // was tried (OK if none was), how many statements with it were lost together
  // with their connection, how many operations its next statement may hold at
  // most, and whether that statement waits behind the others.
  absl::Status outage;
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
  // operation's response and result, or `retry`. The keys are all different.
  // After an error (in the vocabulary of postgres::Session) an operation may be
  // executed once more, although it took effect; its outcome must be the same
  // then.
  virtual absl::Status Execute(absl::Span<Operation* const> batch) = 0;
};

// What lanes of one store have in common.
struct LaneOptions {
  // At most this many operations share a statement, by their weight; one that
  // is heavier has a statement of its own. 1 turns batching off.
  std::size_t max_batch = 256;

  // At most this many operations are held, waiting or executing, by their
  // weight; a further one is refused. One that is heavier is taken while no
  // other is held.
  std::size_t max_in_flight = 8192;

  // Called when a statement fails because the schema is not what it needs;
  // returns what to answer. May block for a moment.
  std::function<absl::Status()> explain_schema_error;

  // For how long no statement has to get through until the lane says so.
  absl::Duration health_grace = absl::Seconds(5);
};

// Batches operations of one kind without a timer. A few workers, each with an
// executor of its own, take whatever waits, up to a cap, and carry it out as
// one statement. A lone operation leaves at once; batches form only out of the
// waiting that a busy database causes.
//
// What the lane promises, whatever fails:
//  - Every operation is answered exactly once: Done is called with OK after it
//    took effect, or with one of the errors of errors.h.
//  - Operations of one key (writes to one user) run one at a time, in the order
//    in which they came.
//  - One operation can't harm its batch: where a statement fails on data, or by
//    a deadlock or a time-out, its halves are run apart until the culprit fails
//    alone; where it loses the connection twice in a row, as one does that
//    crashes PostgreSQL, its halves go into batches of their own. One that met
//    a deadlock or a time-out alone, or lost the connection alone, waits behind
//    the others.
//  - An operation whose deadline has passed, or whose caller gave up, is
//    dropped before it costs a statement.
//  - While the database is away, operations wait for it until their deadlines.
//    After a connection was lost during a statement they are retried.
//
// Thread-safe. Done is called from a worker's thread, or from Submit's caller
// if the operation is refused; never under the lane's lock.
class Lane {
 public:
  struct Options : LaneOptions {
    // How many workers, and so connections. Two keep the database busy while
    // answers are sent; more make batches smaller.
    int workers = 2;

    // A worker that failed pauses, at first this long, then longer with each
    // failure in a row, up to the maximum; jittered.
    absl::Duration min_backoff = absl::Milliseconds(5);
    absl::Duration max_backoff = absl::Milliseconds(250);

    LaneMetrics metrics;

    // For deadlines and durations; pauses and Shutdown go by the real one.
    base::SteadyClock clock = base::SteadyTime::Now;

    // Called with an error once no statement has got through for health_grace,
    // for reasons that are the database's and not those of the data: no
    // connection, a full disk, a refused feature. Called with OK once one gets
    // through again. By one thread at a time; must not block.
    std::function<void(const absl::Status&)> on_health;
  };

  using ExecutorFactory = std::function<std::unique_ptr<BatchExecutor>()>;

  // Starts the workers; `make_executor` is called here, once for each.
  Lane(Options options, const ExecutorFactory& make_executor);

  // Shuts down without waiting for the queue.
  ~Lane();

  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void Submit(std::unique_ptr<Operation> operation);

  // What to answer an operation whose deadline passes now: that the database is
  // away, if no statement gets through, or DeadlineExceeded.
  absl::Status Late() const;

  // Refuses further operations, carries out those that wait, and returns when
  // all are answered; those that still wait at `deadline` are answered
  // with ShuttingDown. Repeated calls are harmless; a concurrent one with an
  // earlier deadline shortens the wait.
  void Shutdown(base::SteadyTime deadline);

 private:
  using Operations = std::vector<std::unique_ptr<Operation>>;

  // A worker's loop: collect a batch, run it, answer it, until shutdown.
  void Work(BatchExecutor& executor);

  // Waits for operations and takes a batch of them; false after shutdown. Those
  // of no use any more go to `dropped`. Both stay empty when it is time to see
  // whether statements get through again.
  bool Collect(Operations& batch, Operations& dropped);

  // Lets the operation run that comes after one of this key which is answered;
  // after one that is not, only drops what is of no use any more.
  void Next(std::int64_t key, bool answered, Operations& dropped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Runs the batch, answers what is decided, and puts the rest back into the
  // queue; whether anything was decided.
  bool Run(BatchExecutor& executor, Operations batch);

  // Runs a part of it; false if the connection was lost, or could not be made.
  bool RunPart(BatchExecutor& executor, std::vector<Operation*> part);

  // Takes down that a statement got through, or why none did; and finds out
  // when there is none to tell.
  void NoteHealth(const absl::Status& status, bool connected);
  void Probe(BatchExecutor& executor);

  // Why the operation should not be run any more; OK if it should.
  absl::Status Verdict(const Operation& operation, base::SteadyTime now) const;

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
  // For each key of which one is queued or under way, those that come after it.
  absl::flat_hash_map<std::int64_t, std::list<std::unique_ptr<Operation>>>
      parked_ ABSL_GUARDED_BY(mutex_);
  std::size_t parked_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandon_queue_ ABSL_GUARDED_BY(mutex_) = false;
  base::SteadyTime stop_deadline_ ABSL_GUARDED_BY(mutex_) =
      base::SteadyTime::InfiniteFuture();
  int running_workers_ ABSL_GUARDED_BY(mutex_) = 0;

  mutable base::Mutex health_mutex_;
  std::atomic<bool> failing_ = false;  // written under it
  base::SteadyTime failing_since_ ABSL_GUARDED_BY(health_mutex_);
  base::SteadyTime last_failure_ ABSL_GUARDED_BY(health_mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(health_mutex_);    // the last one
  bool connected_ ABSL_GUARDED_BY(health_mutex_) = false;  // as it happened
  bool reported_ ABSL_GUARDED_BY(health_mutex_) = false;
  std::string refusal_ ABSL_GUARDED_BY(health_mutex_);  // that was logged last

  base::Mutex join_mutex_;
  std::vector<std::thread> workers_ ABSL_GUARDED_BY(join_mutex_);
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_LANE_H_
