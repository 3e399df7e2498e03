#include "client/adapter/poller.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "client/adapter/backoff.h"
#include "client/adapter/json_text.h"
#include "client/adapter/update_line.h"
#include "client/adapter/update_window.h"
#include "client/adapter/work_queue.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

using base::SteadyTime;
using nlohmann::json;

// Telegram gives no more than a hundred that are not confirmed.
constexpr std::size_t kWindow = 1024;

// Telegram gives what is not done again at once, instead of waiting for more:
// how long to wait ourselves, after a poll that brought something new, and from
// the begin of one that did not.
constexpr absl::Duration kAfterNews = absl::Milliseconds(50);
constexpr absl::Duration kWithoutNews = absl::Milliseconds(300);

// An answer that Telegram does not take for longer is given up: everything that
// comes after it would have to wait as well.
constexpr absl::Duration kLongestPause = absl::Minutes(1);

// Tells the outages of a peer from what fails for one update only: if a peer
// works for somebody who came after the failure, it is not away. Thread-safe.
class Outages {
 public:
  // A moment; later ones are greater, and all greater than 0.
  std::uint64_t Now() { return ++now_; }

  // What was begun then got through.
  void GotThrough(Peer peer, std::uint64_t begin) {
    auto& newest = newest_[Index(peer)];
    std::uint64_t known = newest;
    while (known < begin && !newest.compare_exchange_weak(known, begin)) {
    }
  }

  bool IsOver(Peer peer, std::uint64_t since) const {
    return newest_[Index(peer)] > since;
  }

  static std::size_t Index(Peer peer) { return static_cast<std::size_t>(peer); }

 private:
  std::atomic<std::uint64_t> now_ = 0;
  std::array<std::atomic<std::uint64_t>, 3> newest_ = {};
};

// An update on its way.
struct Job {
  UpdateLine update;
  UpdateWindow::Done done;
  json call;         // what the bot answered, if Telegram is to be called
  int failures = 0;  // that are its own
  std::array<std::uint64_t, 3> away_since = {};  // by peer; 0: never
  // What the bot had taken more than turned away as it first turned this away.
  absl::optional<std::int64_t> overloaded_since;
  Backoff backoff;
};

class Poller {
 public:
  Poller(const PollOptions& options, TelegramApi& telegram, Delivery& delivery,
         AdapterMetrics& metrics, const StopEvent& stop)
      : options_(options),
        telegram_(telegram),
        delivery_(delivery),
        metrics_(metrics),
        stop_(stop),
        window_(kWindow,
                [this](UpdateLine update, UpdateWindow::Done done) {
                  Begin(std::move(update), std::move(done));
                }),
        queue_(options.in_flight) {}

  absl::Status Run() {
    absl::Status status = PollUntilStopped();
    Finish();
    if (offset_) {
      (void)telegram_.GetUpdates(offset_, absl::ZeroDuration());
    }
    return status;
  }

 private:
  absl::Status PollUntilStopped() {
    std::atomic<bool> ended = false;
    std::thread breaker([&] {
      while (!ended) {
        if (!stop_.WaitFor(absl::Milliseconds(100))) continue;
        telegram_.StopWaiting();
        absl::SleepFor(absl::Milliseconds(20));
      }
    });
    absl::Status status = Poll();
    ended = true;
    breaker.join();
    return status;
  }

  absl::Status Poll() {
    Backoff backoff;
    while (!stop_.IsSet()) {
      const SteadyTime begin = SteadyTime::Now();
      const auto updates = telegram_.GetUpdates(offset_, options_.poll_timeout);
      if (stop_.IsSet()) break;
      metrics_.SetPeer(Peer::kTelegram, updates.status());
      if (absl::IsUnauthenticated(updates.status())) return updates.status();
      if (!updates.ok()) {
        stop_.WaitFor(PauseAfter(updates.status(), backoff));
        continue;
      }
      backoff = Backoff();
      const bool news = Add(*updates);
      // All is confirmed. Telegram may start anew at a lower id after a week.
      if (updates->empty() && window_.size() == 0) {
        offset_.reset();
        newest_ = -1;
      }
      MoveOn(news ? SteadyTime::Now() + kAfterNews : begin + kWithoutNews,
             news);
    }
    return absl::OkStatus();
  }

  // Adds those that are new; false if none is.
  bool Add(const std::vector<json>& updates) {
    bool news = false;
    for (const json& update : updates) {
      const auto id = update["update_id"].get<std::int64_t>();
      if (id <= newest_) continue;
      // More than Telegram gives; comes again.
      if (window_.size() == kWindow) break;
      newest_ = id;
      news = true;
      window_.Add(ReadUpdate(update));
    }
    return news;
  }

  // Moves the offset past what is done: once at least, however long the poll
  // took; until then, or until all is done and Telegram has not yet been told.
  void MoveOn(SteadyTime until, bool news) {
    const auto told = offset_;
    do {
      for (const Outcome& outcome : window_.Take(until)) {
        offset_ = *outcome.update_id + 1;
      }
      if (window_.size() == 0 && (news || offset_ != told)) return;
    } while (!stop_.IsSet() && SteadyTime::Now() < until);
  }

  // Once polling has ended: waits for what is under way. The offset stays
  // before the first update that is not done.
  void Finish() {
    ended_ = true;
    queue_.Hurry();
    window_.Close();
    bool all_done = true;
    for (auto outcomes = window_.Take(); !outcomes.empty();
         outcomes = window_.Take()) {
      for (const Outcome& outcome : outcomes) {
        all_done = all_done && !outcome.is_passing_error;
        if (all_done) offset_ = *outcome.update_id + 1;
      }
    }
  }

  void Begin(UpdateLine update, UpdateWindow::Done done) {
    const auto job = std::make_shared<Job>();
    job->update = std::move(update);
    job->done = std::move(done);
    if (job->update.outcome.is_error()) {
      spdlog::error("update {}: {}", IdOf(*job), job->update.outcome.message);
    }
    queue_.Add([this, job] { Try(job); });
  }

  // Brings an update to the bot, and the bot's answer to Telegram.
  void Try(const std::shared_ptr<Job>& job) {
    if (ended_) {
      job->update.outcome.is_passing_error = true;
      return End(*job);
    }
    Peer peer = Peer::kTelegram;
    absl::Status status;
    if (job->call.is_null()) status = Deliver(*job, peer);
    if (status.ok() && !job->call.is_null()) status = Call(*job);
    if (status.ok() || GivesUp(*job, peer, status)) return End(*job);
    queue_.Add([this, job] { Try(job); }, PauseAfter(status, job->backoff));
  }

  static void End(Job& job) { job.done(std::move(job.update.outcome)); }

  // If it fails, `peer` is who failed.
  absl::Status Deliver(Job& job, Peer& peer) {
    const std::uint64_t begin = outages_.Now();
    const auto answer = delivery_.Deliver(job.update, {}, &peer);
    if (job.update.contact && (answer.ok() || peer != Peer::kService)) {
      outages_.GotThrough(Peer::kService, begin);
    }
    if (!answer.ok()) {
      if (IsOverload(peer, answer.status())) ++bot_overloaded_;
      return answer.status();
    }
    outages_.GotThrough(Peer::kBot, begin);
    if (!answer->taken()) {
      peer = Peer::kBot;
      return absl::AbortedError(
          absl::StrCat("the bot answers with status ", answer->status));
    }
    ++bot_took_;
    SetFailing(job, false);
    std::string body = answer->body;
    json call = ParseJson(body);
    if (!call.is_object() || !call.contains("method")) return absl::OkStatus();
    job.call = std::move(call);
    job.failures = 0;
    job.backoff = Backoff();
    return absl::OkStatus();
  }

  absl::Status Call(const Job& job) {
    const std::uint64_t begin = outages_.Now();
    absl::Status status = telegram_.Call(job.call);
    if (absl::IsUnavailable(status)) {
      metrics_.SetPeer(Peer::kTelegram, status);
    } else {
      outages_.GotThrough(Peer::kTelegram, begin);
    }
    return status;
  }

  // Whether a failure was the last.
  bool GivesUp(Job& job, Peer peer, const absl::Status& status) {
    const std::string why(status.message());
    if (peer == Peer::kTelegram &&
        (absl::IsInvalidArgument(status) || absl::IsNotFound(status))) {
      spdlog::warn("update {}: the bot's answer: {}", IdOf(job), why);
      return true;
    }
    if (!IsOwn(job, peer, status)) return false;
    if (++job.failures < (IsFailing(job) ? 1 : options_.attempts) &&
        RetryAfter(status).value_or(absl::ZeroDuration()) <= kLongestPause) {
      return false;
    }
    spdlog::error("update {}: {} passed over after {} failures, at last: {}",
                  IdOf(job), job.call.is_null() ? "it is" : "its answer is",
                  job.failures, why);
    metrics_.CountPassedOver();
    if (job.call.is_null()) SetFailing(job, true);
    return true;
  }

  // Users of whom an update was passed over: until the bot takes one of theirs
  // again, each has one attempt, or a hundred of them, which are all that
  // Telegram gives, would hold up everybody else for their attempts' time.
  void SetFailing(const Job& job, bool failing) {
    const auto user = job.update.outcome.user_id;
    if (!user) return;
    base::MutexLock lock(mutex_);
    if (!failing) {
      failing_users_.erase(*user);
    } else if (failing_users_.size() < kWindow) {
      failing_users_.insert(*user);
    }
  }
  bool IsFailing(const Job& job) {
    const auto user = job.update.outcome.user_id;
    base::MutexLock lock(mutex_);
    return user && failing_users_.contains(*user);
  }

  // Whether the update fails by itself, and not because somebody is away.
  bool IsOwn(Job& job, Peer peer, const absl::Status& status) {
    // Of an overload, a part gets through: it is the update's only where, since
    // it failed first, the bot took more than it turned away.
    if (IsOverload(peer, status)) {
      if (peer == Peer::kService) return false;
      const std::int64_t balance = bot_took_ - bot_overloaded_;
      if (!job.overloaded_since) job.overloaded_since = balance;
      return balance > *job.overloaded_since;
    }
    if (peer != Peer::kService && !absl::IsUnavailable(status)) return true;
    std::uint64_t& since = job.away_since[Outages::Index(peer)];
    if (since == 0) since = outages_.Now();
    return outages_.IsOver(peer, since);
  }

  // A pause that Telegram wants is that of one chat.
  static bool IsOverload(Peer peer, const absl::Status& status) {
    return peer != Peer::kTelegram && absl::IsResourceExhausted(status);
  }

  static std::int64_t IdOf(const Job& job) {
    return job.update.outcome.update_id.value_or(0);
  }

  // As long as Telegram asks for, if that is longer than our own wait.
  static absl::Duration PauseAfter(const absl::Status& status,
                                   Backoff& backoff) {
    return std::max(RetryAfter(status).value_or(absl::ZeroDuration()),
                    backoff.Next());
  }

  const PollOptions& options_;
  TelegramApi& telegram_;
  Delivery& delivery_;
  AdapterMetrics& metrics_;
  const StopEvent& stop_;

  absl::optional<std::int64_t> offset_;  // of the first that is not done
  std::int64_t newest_ = -1;             // that was added
  Outages outages_;
  std::atomic<std::int64_t> bot_took_ = 0;
  std::atomic<std::int64_t> bot_overloaded_ = 0;
  base::Mutex mutex_;
  std::set<std::int64_t> failing_users_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> ended_ = false;
  UpdateWindow window_;
  WorkQueue queue_;
};

}  // namespace

absl::Status RunPoll(const PollOptions& options, TelegramApi& telegram,
                     Delivery& delivery, AdapterMetrics& metrics,
                     const StopEvent& stop) {
  return Poller(options, telegram, delivery, metrics, stop).Run();
}

}  // namespace userprofile::adapter
