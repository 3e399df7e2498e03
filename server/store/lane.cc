#include "server/store/lane.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "base/batch_scheduling.h"
#include "server/ops/metrics.h"
#include "server/store/errors.h"
#include "spdlog/spdlog.h"

namespace userprofile::store {
namespace {

std::vector<Operation*> Pointers(
    const std::vector<std::unique_ptr<Operation>>& operations) {
  std::vector<Operation*> pointers(operations.size());
  std::transform(operations.begin(), operations.end(), pointers.begin(),
                 [](const auto& operation) { return operation.get(); });
  return pointers;
}

// Writes down that the operation has waited until now.
void CountQueued(const Operation& operation, absl::Time now) {
  if (CallTimes* times = operation.context.times; times != nullptr) {
    times->queue = now - operation.submitted - times->database;
  }
}

// Writes down how long the statement of all these ran.
void CountStatement(const std::vector<Operation*>& part,
                    absl::Duration duration) {
  for (const Operation* operation : part) {
    if (CallTimes* times = operation->context.times; times != nullptr) {
      times->database += duration;
    }
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

Lane::~Lane() { Shutdown(absl::InfinitePast()); }

void Lane::Submit(std::unique_ptr<Operation> operation) {
  operation->submitted = options_.clock();
  const bool accepted = ++in_flight_ <= options_.max_in_flight;
  bool shutting_down = false;
  if (accepted) {
    base::MutexLock lock(mutex_);
    shutting_down = stopping_;
    if (!shutting_down) queue_.push_back(std::move(operation));
  }
  if (accepted && !shutting_down) {
    work_available_.SignalOne();
    return;
  }
  if (!shutting_down && options_.metrics != nullptr) {
    options_.metrics->CountRefused();
  }
  // NOLINTNEXTLINE(bugprone-use-after-move): moved only if it was queued
  Answer(*operation, shutting_down ? ShuttingDown() : Overloaded());
}

void Lane::Shutdown(absl::Time deadline) {
  Operations abandoned;
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    stop_deadline_ = std::min(stop_deadline_, deadline);
    work_available_.SignalAll();
    changed_.SignalAll();
    while (running_workers_ > 0 && absl::Now() < stop_deadline_) {
      changed_.WaitFor(mutex_, stop_deadline_ - absl::Now());
    }
    abandon_queue_ = true;
    std::move(queue_.begin(), queue_.end(), std::back_inserter(abandoned));
    queue_.clear();
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
  while (Collect(executor, batch, dropped)) {
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

bool Lane::Collect(BatchExecutor& executor, Operations& batch,
                   Operations& dropped) {
  base::MutexLock lock(mutex_);
  while (queue_.empty()) {
    if (stopping_) return false;
    work_available_.Wait(mutex_);
  }
  const absl::Time now = options_.clock();
  Operations waiting;  // for the next batch
  std::size_t max_batch = options_.max_batch;
  executor.BeginBatch();
  while (!queue_.empty() && batch.size() < max_batch) {
    std::unique_ptr<Operation> operation = std::move(queue_.front());
    queue_.pop_front();
    operation->result = Verdict(*operation, now);
    CountQueued(*operation, now);
    if (!operation->result.ok()) {
      dropped.push_back(std::move(operation));
    } else if (batch.size() >= operation->max_batch ||
               !executor.Admit(*operation)) {
      waiting.push_back(std::move(operation));
    } else {
      max_batch = std::min(max_batch, operation->max_batch);
      batch.push_back(std::move(operation));
    }
  }
  std::move(waiting.rbegin(), waiting.rend(), std::front_inserter(queue_));
  if (!queue_.empty()) work_available_.SignalOne();
  if (options_.metrics != nullptr) options_.metrics->SetDepth(queue_.size());
  return true;
}

bool Lane::Run(BatchExecutor& executor, Operations batch) {
  if (options_.metrics != nullptr) {
    const absl::Time now = options_.clock();
    options_.metrics->ObserveBatch(batch.size());
    for (const auto& operation : batch) {
      options_.metrics->ObserveQueueWait(now - operation->submitted);
    }
  }
  if (absl::Status connected = executor.Connect(); connected.ok()) {
    RunPart(executor, Pointers(batch));
  } else {
    Log("finds no connection", batch.size(), connected);
    for (const auto& operation : batch) operation->met_outage = true;
  }
  const std::size_t size = batch.size();
  batch.erase(std::remove_if(batch.begin(), batch.end(), Answered),
              batch.end());
  if (batch.empty()) return true;
  const bool any_decided = batch.size() < size;

  {
    base::MutexLock lock(mutex_);
    if (!abandon_queue_) {
      if (options_.metrics != nullptr) options_.metrics->CountRetry();
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
  return any_decided;
}

void Lane::RunPart(BatchExecutor& executor, std::vector<Operation*> part) {
  const absl::Time start = options_.clock();
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
  if (part.empty()) return;
  const absl::Status status = executor.Execute(part);
  const absl::Duration duration = options_.clock() - start;
  CountStatement(part, duration);
  if (options_.metrics != nullptr) options_.metrics->ObserveStatement(duration);
  if (status.ok()) {
    for (Operation* operation : part) {
      Answer(*operation, std::move(operation->result));
    }
    return;
  }
  if (absl::IsUnavailable(status)) {
    Log("met an outage", part.size(), status);
    for (Operation* operation : part) {
      operation->met_outage = true;
      if (!options_.idempotent) {
        Answer(*operation, OutcomeUnknown());
      } else if (++operation->lost > 1) {
        operation->max_batch = (part.size() + 1) / 2;
        operation->waits_behind = part.size() == 1;
      }
    }
    return;
  }
  const bool may_be_one_culprit = absl::IsInvalidArgument(status) ||
                                  absl::IsAlreadyExists(status) ||
                                  absl::IsAborted(status);
  if (may_be_one_culprit && part.size() > 1) {
    const auto middle =
        part.begin() + static_cast<std::ptrdiff_t>(part.size() / 2);
    RunPart(executor, {part.begin(), middle});
    RunPart(executor, {middle, part.end()});
    return;
  }
  if (absl::IsAborted(status)) {
    Log("gave way, and is tried again", part.size(), status);
    part.front()->max_batch = 1;
    part.front()->waits_behind = true;
    return;
  }
  Log("failed", part.size(), status);
  const absl::Status answer = Translate(status);
  for (Operation* operation : part) Answer(*operation, answer);
}

void Lane::Log(const char* outcome, std::size_t size,
               const absl::Status& failure) {
  const absl::optional<std::int64_t> held_back = log_limiter_.Admit();
  if (!held_back) return;
  if (*held_back > 0) spdlog::warn("{} such lines were left out", *held_back);
  spdlog::warn("a statement for {} requests {}: {}", size, outcome,
               std::string(failure.message()));
}

absl::Status Lane::Verdict(const Operation& operation, absl::Time now) const {
  const CallContext& context = operation.context;
  if (context.cancelled && context.cancelled()) return Cancelled();
  if (now < context.deadline) return absl::OkStatus();
  return operation.met_outage ? DatabaseUnavailable() : DeadlineExceeded();
}

absl::Status Lane::Translate(const absl::Status& failure) const {
  switch (failure.code()) {
    case absl::StatusCode::kFailedPrecondition:
      return options_.explain_schema_error ? options_.explain_schema_error()
                                           : Internal();
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kAlreadyExists:
      return RowRejected();
    default:
      return Internal();
  }
}

void Lane::Drop(Operation& operation, absl::Status verdict) {
  if (options_.metrics != nullptr) options_.metrics->CountDropped();
  Answer(operation, std::move(verdict));
}

void Lane::Answer(Operation& operation, absl::Status status) {
  --in_flight_;  // first: whoever is answered may come back at once
  std::exchange(operation.done, nullptr)(std::move(status));
}

void Lane::PauseAfterFailure(int failures_in_a_row) {
  thread_local absl::InsecureBitGen random;
  const absl::Duration pause =
      std::min(
          options_.max_backoff,
          options_.min_backoff * (1 << std::min(failures_in_a_row - 1, 16))) *
      absl::Uniform(random, 0.5, 1.0);
  const absl::Time end = absl::Now() + pause;
  base::MutexLock lock(mutex_);
  while (!abandon_queue_ && absl::Now() < end) {
    changed_.WaitFor(mutex_, end - absl::Now());
  }
}

}  // namespace userprofile::store
