#include "server/store/lane.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/random/random.h"
#include "base/batch_scheduling.h"
#include "server/postgres/errors.h"
#include "server/store/errors.h"
#include "spdlog/spdlog.h"

// clang-format off
// The states of an operation, and the functions that move it on:
//
//   Submit ------------- too many held, or shutting down --> answered
//     |
//     | one of its key is held already
//     +----------------> parked behind it
//     |                    | that one is answered (Next)
//     v                    v
//   queued <---------------+
//     |
//     | Collect: its deadline has passed, or cancelled ----> dropped: answered
//     v
//   in a batch, of different keys; Run, and RunPart for it and its parts
//     |
//     +-- no connection, or lost, whatever happened -------> queued, in front
//     |     lost for the second time, or more ---> ... in a batch half as large
//     |     lost for the second time, alone -----> ... behind all others
//     +-- refused data, deadlock, time-out; others beside -> its half runs
//     +-- deadlock or time-out, alone ---> queued, behind all others, by itself
//     +-- executed, but to be retried (Operation::retry) --> runs at once
//     +-- executed, or refused for good -------------------> answered
//
// clang-format on
// What is parked is dropped in time too: at the front of its key, each time the
// one before it has run. What is queued in front keeps its place, so that its
// key is not overtaken. Shutdown answers all that is queued or parked once its
// deadline has passed; what is in a batch is answered by the batch.
namespace userprofile::store {
namespace {

// A lane without calls in which statements fail looks this often whether there
// is a connection, and believes this long that writes fail.
constexpr absl::Duration kProbeInterval = absl::Milliseconds(500);
constexpr absl::Duration kDoubtInterval = absl::Seconds(10);

// Writes down that the operation has waited until now.
void CountQueued(const Operation& operation, base::SteadyTime now) {
  if (CallTimes* times = operation.context.times; times != nullptr) {
    times->queue = now - operation.submitted - times->database;
  }
}

bool Answered(const std::unique_ptr<Operation>& operation) {
  return operation->done == nullptr;
}

}  // namespace

Lane::Lane(Options options, const ExecutorFactory& make_executor)
    : options_(std::move(options)) {
  base::MutexLock join_lock(join_mutex_);
  base::MutexLock lock(mutex_);
  running_workers_ = options_.workers;
  for (int i = 0; i < options_.workers; ++i) {
    workers_.emplace_back(
        [this, executor = make_executor()] { Work(*executor); });
  }
}

Lane::~Lane() { Shutdown(base::SteadyTime::InfinitePast()); }

void Lane::Submit(std::unique_ptr<Operation> operation) {
  if (operation->submitted == base::SteadyTime()) {
    operation->submitted = options_.clock();
  }
  const std::size_t held = in_flight_.fetch_add(operation->weight);
  const bool accepted =
      held == 0 || held + operation->weight <= options_.max_in_flight;
  bool shutting_down = false;
  if (accepted) {
    base::MutexLock lock(mutex_);
    shutting_down = stopping_;
    if (!shutting_down) {
      const auto& key = operation->key;
      const auto [behind, idle] =
          key ? parked_.try_emplace(*key) : std::pair(parked_.end(), true);
      if (idle) {
        queue_.push_back(std::move(operation));
      } else {
        behind->second.push_back(std::move(operation));
        ++parked_count_;
      }
    }
  }
  if (accepted && !shutting_down) {
    work_available_.SignalOne();
    return;
  }
  if (!shutting_down) options_.metrics.CountRefused();
  // NOLINTNEXTLINE(bugprone-use-after-move): moved only if it was queued
  Answer(*operation, shutting_down ? ShuttingDown() : Overloaded());
}

void Lane::Shutdown(base::SteadyTime deadline) {
  Operations abandoned;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    stop_deadline_ = std::min(stop_deadline_, deadline);
    work_available_.SignalAll();
    changed_.SignalAll();
    while (running_workers_ > 0 && base::SteadyTime::Now() < stop_deadline_) {
      changed_.WaitUntil(mutex_, stop_deadline_);
    }
    abandon_queue_ = true;
    std::move(queue_.begin(), queue_.end(), std::back_inserter(abandoned));
    queue_.clear();
    for (auto& [key, parked] : parked_) {
      std::move(parked.begin(), parked.end(), std::back_inserter(abandoned));
    }
    parked_.clear();
    parked_count_ = 0;
    work_available_.SignalAll();
    changed_.SignalAll();
  }
  for (const auto& operation : abandoned) Answer(*operation, ShuttingDown());
  base::MutexLock lock(join_mutex_);
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void Lane::Work(BatchExecutor& executor) {
  // What arrives while others finish what they do, joins the batch.
  base::UseBatchScheduling();
  int failures_in_a_row = 0;
  Operations batch;
  Operations dropped;
  while (Collect(batch, dropped)) {
    if (batch.empty() && dropped.empty()) Probe(executor);
    for (const auto& operation : dropped) {
      Drop(*operation, std::move(operation->result));
    }
    dropped.clear();
    if (batch.empty()) continue;
    if (Run(executor, std::exchange(batch, {}))) {
      failures_in_a_row = 0;
    } else {
      PauseAfterFailure(++failures_in_a_row);
    }
  }
  base::MutexLock lock(mutex_);
  --running_workers_;
  changed_.SignalAll();
}

bool Lane::Collect(Operations& batch, Operations& dropped) {
  base::MutexLock lock(mutex_);
  const base::SteadyTime probe = base::SteadyTime::Now() + kProbeInterval;
  while (queue_.empty()) {
    if (stopping_) return false;
    if (!failing_) {
      work_available_.Wait(mutex_);
    } else if (base::SteadyTime::Now() < probe) {
      work_available_.WaitUntil(mutex_, probe);
    } else {
      return true;
    }
  }
  const base::SteadyTime now = options_.clock();
  Operations waiting;  // for the next batch
  std::size_t max_batch = options_.max_batch;
  std::size_t weight = 0;
  while (!queue_.empty() && batch.size() < max_batch) {
    // In its turn, or lighter ones would overtake it for ever.
    if (weight > 0 && weight + queue_.front()->weight > options_.max_batch) {
      break;
    }
    std::unique_ptr<Operation> operation = std::move(queue_.front());
    queue_.pop_front();
    operation->result = Verdict(*operation, now);
    CountQueued(*operation, now);
    if (!operation->result.ok()) {
      if (operation->key) Next(*operation->key, true, dropped);
      dropped.push_back(std::move(operation));
    } else if (batch.size() >= operation->max_batch) {
      waiting.push_back(std::move(operation));
    } else {
      max_batch = std::min(max_batch, operation->max_batch);
      weight += operation->weight;
      batch.push_back(std::move(operation));
    }
  }
  std::move(waiting.rbegin(), waiting.rend(), std::front_inserter(queue_));
  if (!queue_.empty()) work_available_.SignalOne();
  options_.metrics.SetDepth(queue_.size() + parked_count_);
  return true;
}

void Lane::Next(std::int64_t key, bool answered, Operations& dropped) {
  const auto found = parked_.find(key);
  if (found == parked_.end()) return;  // abandoned
  auto& parked = found->second;
  const base::SteadyTime now = options_.clock();
  while (!parked.empty()) {
    Operation& next = *parked.front();
    next.result = Verdict(next, now);
    if (next.result.ok() && !answered) return;
    CountQueued(next, now);
    const bool runs = next.result.ok();
    if (runs) {
      queue_.push_front(std::move(parked.front()));
    } else {
      dropped.push_back(std::move(parked.front()));
    }
    parked.pop_front();
    --parked_count_;
    if (runs) return;
  }
  if (answered) parked_.erase(found);
}

bool Lane::Run(BatchExecutor& executor, Operations batch) {
  const base::SteadyTime now = options_.clock();
  std::size_t weight = 0;
  for (const auto& operation : batch) {
    weight += operation->weight;
    options_.metrics.ObserveQueueWait(now - operation->submitted);
  }
  options_.metrics.ObserveBatch(weight);
  std::vector<Operation*> whole;
  for (const auto& operation : batch) whole.push_back(operation.get());
  RunPart(executor, std::move(whole));
  const bool all_decided = std::all_of(batch.begin(), batch.end(), Answered);
  const bool any_decided = std::any_of(batch.begin(), batch.end(), Answered);

  Operations dropped;
  {
    base::MutexLock lock(mutex_);
    // From the last on, for each is put before the others.
    for (std::size_t i = batch.size(); i-- > 0;) {
      if (batch[i]->key) Next(*batch[i]->key, Answered(batch[i]), dropped);
    }
    batch.erase(std::remove_if(batch.begin(), batch.end(), Answered),
                batch.end());
    if (!abandon_queue_) {
      if (!all_decided) options_.metrics.CountRetry();
      const auto late = std::stable_partition(
          batch.begin(), batch.end(),
          [](const auto& operation) { return !operation->waits_behind; });
      std::move(std::make_reverse_iterator(late), batch.rend(),
                std::front_inserter(queue_));
      std::move(late, batch.end(), std::back_inserter(queue_));
      batch.clear();
    }
  }
  for (const auto& operation : batch) Answer(*operation, ShuttingDown());
  for (const auto& operation : dropped) {
    Drop(*operation, std::move(operation->result));
  }
  return any_decided;
}

bool Lane::RunPart(BatchExecutor& executor, std::vector<Operation*> part) {
  if (absl::Status connected = executor.Connect(); !connected.ok()) {
    Log("finds no connection", part.size(), connected);
    NoteHealth(connected, false);
    for (Operation* operation : part) {
      operation->outage = DatabaseAway(connected);
    }
    return false;
  }
  const base::SteadyTime start = options_.clock();
  // Making the connection, or running another part, can have taken seconds.
  part.erase(std::remove_if(part.begin(), part.end(),
                            [&](Operation* operation) {
                              CountQueued(*operation, start);
                              absl::Status verdict = Verdict(*operation, start);
                              if (verdict.ok()) return false;
                              Drop(*operation, std::move(verdict));
                              return true;
                            }),
             part.end());
  if (part.empty()) return true;
  for (Operation* operation : part) operation->retry = false;
  const absl::Status status = executor.Execute(part);
  const absl::Duration duration = options_.clock() - start;
  for (const Operation* operation : part) {
    if (operation->context.times)
      operation->context.times->database += duration;
  }
  options_.metrics.ObserveStatement(duration);
  if (status.ok()) {
    std::vector<Operation*> rest;
    for (Operation* operation : part) {
      if (operation->retry) {
        rest.push_back(operation);
      } else {
        Answer(*operation, std::move(operation->result));
      }
    }
    // One that decided nothing, an UPDATE that found nobody say, tells nothing
    // of those that write.
    if (rest.size() < part.size()) NoteHealth(status, true);
    return rest.empty() || RunPart(executor, std::move(rest));
  }
  if (absl::IsUnavailable(status)) {
    Log("met an outage", part.size(), status);
    // What PostgreSQL itself says it says to whoever is connected.
    NoteHealth(status, !postgres::MayHaveTakenEffect(status) &&
                           !postgres::SqlState(status).empty());
    for (Operation* operation : part) {
      operation->outage = DatabaseAway(status);
      if (++operation->lost > 1) {
        operation->max_batch = (part.size() + 1) / 2;
        operation->waits_behind = part.size() == 1;
      }
    }
    return false;
  }
  const bool may_be_one_culprit =
      absl::IsInvalidArgument(status) || absl::IsAlreadyExists(status) ||
      absl::IsAborted(status) || absl::IsUnimplemented(status);
  if (may_be_one_culprit && part.size() > 1) {
    const auto middle =
        part.begin() + static_cast<std::ptrdiff_t>(part.size() / 2);
    return RunPart(executor, {part.begin(), middle}) &&
           RunPart(executor, {middle, part.end()});
  }
  if (absl::IsAborted(status)) {
    Log("was rolled back for others, and is retried", part.size(), status);
    part.front()->max_batch = 1;
    part.front()->waits_behind = true;
    return true;
  }
  if (absl::IsUnimplemented(status)) {
    NoteHealth(status, true);
  } else {
    if (may_be_one_culprit) NoteHealth(absl::OkStatus(), true);
    Log("failed", part.size(), status);
  }
  const absl::Status answer = Translate(status);
  for (Operation* operation : part) Answer(*operation, answer);
  return true;
}

void Lane::NoteHealth(const absl::Status& status, bool connected) {
  if (status.ok() && !failing_) return;  // as nearly always
  base::MutexLock lock(health_mutex_);
  if (status.ok()) {
    failing_ = false;
    if (std::exchange(reported_, false)) options_.on_health(status);
    return;
  }
  // It comes with each statement, and not one of them is at fault.
  if (absl::IsUnimplemented(status) && refusal_ != status.message()) {
    refusal_ = std::string(status.message());
    spdlog::error("PostgreSQL refuses the service's statements: {}", refusal_);
  }
  last_failure_ = options_.clock();
  failure_ = status;
  connected_ = connected;
  if (!failing_.exchange(true)) failing_since_ = last_failure_;
  if (!reported_ && options_.on_health &&
      last_failure_ - failing_since_ >= options_.health_grace) {
    reported_ = true;
    options_.on_health(status);
  }
}

// A lane that is reported gets no calls any more that would tell. That there is
// no connection can be found out without; but not that a write fails, on a full
// disk say, without a write like those of the calls. So they are let through
// again after a while: better some that fail than none for ever.
void Lane::Probe(BatchExecutor& executor) {
  if (absl::Status connected = executor.Connect(); !connected.ok()) {
    NoteHealth(connected, false);
    return;
  }
  {
    base::MutexLock lock(health_mutex_);
    if (connected_ && options_.clock() - last_failure_ < kDoubtInterval) return;
  }
  NoteHealth(absl::OkStatus(), true);
}

void Lane::Log(const char* outcome, std::size_t size,
               const absl::Status& failure) {
  const absl::optional<std::int64_t> held_back = log_limiter_.Admit();
  if (!held_back) return;
  if (*held_back > 0) spdlog::warn("{} such lines were left out", *held_back);
  spdlog::warn("a statement for {} requests {}: {}", size, outcome,
               std::string(failure.message()));
}

absl::Status Lane::Verdict(const Operation& operation,
                           base::SteadyTime now) const {
  const CallContext& context = operation.context;
  if (context.cancelled && context.cancelled()) return Cancelled();
  if (now < context.deadline) return absl::OkStatus();
  return operation.outage.ok() ? Late() : operation.outage;
}

absl::Status Lane::Late() const {
  if (!failing_) return DeadlineExceeded();
  base::MutexLock lock(health_mutex_);
  return failing_ ? DatabaseAway(failure_) : DeadlineExceeded();
}

absl::Status Lane::Translate(const absl::Status& failure) const {
  switch (failure.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return options_.explain_schema_error ? options_.explain_schema_error()
                                           : Internal();
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kAlreadyExists:
      return RowRejected();
    case absl::StatusCode::kUnimplemented:
      return StatementRefused();
    default:
      return Internal();
  }
}

void Lane::Drop(Operation& operation, absl::Status verdict) {
  options_.metrics.CountDropped();
  Answer(operation, std::move(verdict));
}

void Lane::Answer(Operation& operation, absl::Status status) {
  // First: whoever is answered may come back at once.
  in_flight_ -= operation.weight;
  std::exchange(operation.done, nullptr)(std::move(status));
}

void Lane::PauseAfterFailure(int failures_in_a_row) {
  thread_local absl::InsecureBitGen random;
  const absl::Duration pause =
      std::min(
          options_.max_backoff,
          options_.min_backoff * (1 << std::min(failures_in_a_row - 1, 16))) *
      absl::Uniform(random, 0.5, 1.0);
  const base::SteadyTime end = base::SteadyTime::Now() + pause;
  base::MutexLock lock(mutex_);
  while (!abandon_queue_ && base::SteadyTime::Now() < end) {
    changed_.WaitUntil(mutex_, end);
  }
}

}  // namespace userprofile::store
