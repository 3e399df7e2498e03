#include "client/adapter/poller.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "client/adapter/dead_letters.h"
#include "client/adapter/options.h"
#include "client/adapter/sidecar.h"
#include "client/adapter/stop_event.h"
#include "client/adapter/telegram_api.h"
#include "client/adapter/window.h"
#include "client/adapter/work_queue.h"
#include "ops/command_line.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

using base::SteadyTime;
using nlohmann::json;

// Of how many users the bot refuses updates, and takes none, until the error is
// taken for the bot's. Once it is given no others, for Telegram gives a
// hundred, a few users must not be able to stop it for all.
constexpr std::size_t kSeveral = 3;
constexpr std::size_t kMany = 50;
constexpr std::size_t kGivenAtOnce = 100;

// Telegram gives no more than a hundred that are not confirmed.
constexpr std::size_t kWindow = 1024;

// How many users are kept in mind of whom an update was passed over.
constexpr std::size_t kMaxFailing = 1024;

// Telegram gives what is not done again at once, instead of waiting for more:
// how long to wait ourselves, after a poll that brought something new, and from
// the begin of one that did not.
constexpr absl::Duration kAfterNews = absl::Milliseconds(50);
constexpr absl::Duration kWithoutNews = absl::Milliseconds(300);

// An answer that Telegram does not take for longer is given up: everything that
// comes after it would have to wait as well.
constexpr absl::Duration kLongestPause = absl::Minutes(1);

// An update on its way.
struct Job {
  Update update;
  UpdateWindow::Done done;
  json call;         // what the bot answered, if Telegram is to be called
  int failures = 0;  // that are its own
  absl::optional<SteadyTime> away_since[kPeers];
  absl::optional<SteadyTime> refused_since;  // by the bot
  // The balance of the bot as it first turned this away.
  absl::optional<std::int64_t> overloaded_since;
  Backoff backoff;
};

// Gets updates from Telegram by long polling, and delivers each, different
// users' at once and one user's in order. Does what the bot's answers ask for
// ("method"), as Telegram does for a webhook. The offset is that of the first
// update that is not done, so what a killed process had not done comes again.
//
// What fails is tried again, and nobody but the updates of the same user waits
// for it, nor for a pause that Telegram wants for that user. But as Telegram
// gives out no more than the hundred updates from the offset on, one that never
// succeeds has to end: each failure of its own counts as an attempt. That is a
// bot that refuses it, takes too long, breaks off or answers too much, and what
// Telegram refuses of the bot's answer. That the service, the bot or Telegram
// is away is not its own, and is waited out; unless they get through for others
// who come after it has failed. Nor is what the bot answers to several users,
// and to no other.
class Poller {
 public:
  Poller(const PollerOptions& options, UpdateSource& source,
         TelegramApi& telegram, Sidecar& sidecar, DeadLetters* dead_letters)
      : options_(options),
        source_(source),
        telegram_(telegram),
        dead_letters_(dead_letters),
        bot_(sidecar.secret()),
        delivery_(sidecar.delivery()),
        metrics_(sidecar.metrics()),
        stop_(sidecar.stop()),
        window_(kWindow,
                [this](Update update, UpdateWindow::Done done) {
                  Begin(std::move(update), std::move(done));
                }),
        queue_(options.in_flight) {}

  // Works until `stop` is set; then finishes the calls under way, confirms what
  // is done, and returns OK. UNAUTHENTICATED if Telegram does not know the
  // token.
  absl::Status Run() {
    absl::Status status = Poll();
    Finish();
    if (offset_)
      (void)source_.GetUpdates(offset_, absl::ZeroDuration(), nullptr);
    return status;
  }

  std::int64_t passed_over() const { return passed_over_; }

 private:
  // A user of whom an update was passed over. Until the bot takes one of theirs
  // again, each has one attempt; and those that waited behind it have all
  // together twice the time that the bot may take for one. Else a hundred of
  // them, which are all that Telegram gives, would hold up everybody else. The
  // service hears of what is left then, too.
  struct Failing {
    std::int64_t newest = -1;  // update that waited
    absl::Duration left;       // for those up to that
  };

  absl::Status Poll() {
    Backoff backoff;
    while (!stop_.IsSet()) {
      const SteadyTime begin = SteadyTime::Now();
      const auto updates =
          source_.GetUpdates(offset_, options_.poll_timeout, &stop_);
      if (stop_.IsSet()) break;
      metrics_.SetPeer(kTelegram, updates.status());
      if (absl::IsUnauthenticated(updates.status())) return updates.status();
      if (!updates.ok()) {
        stop_.WaitFor(PauseAfter(updates.status(), backoff));
        continue;
      }
      backoff = Backoff();
      const bool news = Add(*updates);
      // All is confirmed. Telegram may start anew at a lower id after a week.
      if (updates->empty() && window_.size() == 0) {
        if (source_.ended()) break;
        offset_.reset();
        newest_ = -1;
        const base::MutexLock lock(mutex_);
        for (auto& [user, failing] : failing_) failing.newest = -1;
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
      window_.Add(ReadUpdate(update, bot_));
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

  void Begin(Update update, UpdateWindow::Done done) {
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
    const SteadyTime begin = SteadyTime::Now();
    Peer peer = kTelegram;
    absl::Status status;
    if (!HasTimeLeft(*job)) {
      peer = kService;
      std::map<std::string, std::string> headers;
      status = delivery_.TellService(job->update, headers).status();
      if (status.ok() &&
          !PassOver(*job, "those before it used up the time of this user's")) {
        status = absl::UnavailableError("no letter can be kept");
      }
    } else if (job->call.is_null()) {
      status = Deliver(*job, begin, peer);
    }
    if (status.ok() && !job->call.is_null()) status = Call(*job);
    if (status.ok() || GivesUp(*job, begin, peer, status)) return End(*job);
    queue_.Add([this, job] { Try(job); }, PauseAfter(status, job->backoff));
  }

  static void End(Job& job) { job.done(std::move(job.update.outcome)); }

  // If it fails, `peer` is who failed.
  absl::Status Deliver(Job& job, SteadyTime begin, Peer& peer) {
    const auto answer = delivery_.Deliver(job.update, {}, &peer);
    const bool taken = answer.ok() && IsTaken(*answer);
    {
      const base::MutexLock lock(mutex_);
      if (job.update.contact && (answer.ok() || peer != kService)) {
        GotThrough(kService, begin);
      }
      if (answer.ok()) GotThrough(kBot, begin);
      if (IsOverload(peer, answer.status())) --bot_balance_;
      if (taken) {
        ++bot_balance_;
        refused_.clear();
        bot_took_ = std::max(bot_took_, begin);
        if (const auto user = UserOf(job)) failing_.erase(*user);
      }
    }
    if (!answer.ok()) return answer.status();
    if (!taken) {
      peer = kBot;
      const std::string text =
          absl::StrCat("the bot answers with status ", answer->status);
      return SaysThatNothingIsThere(answer->status) ? absl::NotFoundError(text)
                                                    : absl::AbortedError(text);
    }
    std::string body = answer->body;
    json call = ParseJson(body);
    if (!call.is_object() || !call.contains("method")) return absl::OkStatus();
    job.call = std::move(call);
    job.failures = 0;
    job.backoff = Backoff();
    return absl::OkStatus();
  }

  static bool SaysThatNothingIsThere(int status) {
    return (status >= 300 && status < 400) || status == 401 || status == 403 ||
           status == 404 || status == 405;
  }

  absl::Status Call(const Job& job) {
    const SteadyTime begin = SteadyTime::Now();
    absl::Status status = telegram_.Call(job.call);
    if (absl::IsUnavailable(status)) {
      metrics_.SetPeer(kTelegram, status);
    } else {
      const base::MutexLock lock(mutex_);
      GotThrough(kTelegram, begin);
    }
    return status;
  }

  // Whether a failure, of a try begun then, was the last.
  bool GivesUp(Job& job, SteadyTime begin, Peer peer,
               const absl::Status& status) {
    const std::string why(status.message());
    if (peer == kTelegram &&
        (absl::IsInvalidArgument(status) || absl::IsNotFound(status))) {
      spdlog::warn("update {}: the bot's answer: {}", IdOf(job), why);
      return true;
    }
    const auto user = UserOf(job);
    bool one_attempt = false;
    {
      const base::MutexLock lock(mutex_);
      if (!IsOwn(job, peer, status)) return false;
      // Of a user whose updates fail, the next ones say nothing about the bot,
      // but by a wrong path.
      one_attempt = user && failing_.contains(*user);
      if (peer == kBot && (!one_attempt || absl::IsNotFound(status)) &&
          IsTheBots(job, status)) {
        metrics_.SetPeer(kBot, absl::UnavailableError(absl::StrCat(
                                   "it refuses everybody's updates, of which "
                                   "none is passed over: ",
                                   why)));
        return false;
      }
      if (++job.failures < (one_attempt ? 1 : options_.attempts) &&
          WantedPause(status) <= kLongestPause) {
        return false;
      }
    }
    if (!PassOver(job, why)) return false;
    if (job.call.is_null() && user) {
      const base::MutexLock lock(mutex_);
      if (!one_attempt && failing_.size() == kMaxFailing) {
        failing_.erase(std::min_element(
            failing_.begin(), failing_.end(), [](const auto& a, const auto& b) {
              return a.second.newest < b.second.newest;
            }));
      }
      Failing& failing = failing_[*user];
      if (IdOf(job) <= failing.newest) {
        failing.left -= SteadyTime::Now() - begin;
      } else {
        failing = {newest_.load(), 2 * options_.forward_timeout};
      }
    }
    return true;
  }

  // False if it can't be kept first, as is wanted.
  bool PassOver(const Job& job, const std::string& why) {
    const bool is_update = job.call.is_null();
    if (is_update && dead_letters_ != nullptr) {
      const absl::Status kept = dead_letters_->Add(job.update.text);
      if (!kept.ok()) {
        spdlog::error("update {} is not passed over: {}", IdOf(job),
                      std::string(kept.message()));
        metrics_.SetPeer(kBot, absl::UnavailableError(
                                   "what it refuses can't be kept, and so is "
                                   "not passed over"));
        return false;
      }
    }
    spdlog::error("update {}: {} passed over after {} failures: {}", IdOf(job),
                  is_update ? "it is" : "its answer is", job.failures, why);
    metrics_.CountPassedOver();
    ++passed_over_;
    return true;
  }

  // Whether it is the bot's own error that it refused the update, and is waited
  // out: it refuses those of several users, and took none that was brought to
  // it after the first of this one's failures.
  bool IsTheBots(Job& job, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!job.refused_since) job.refused_since = SteadyTime::Now();
    // What is kept where it comes from is not lost.
    if (source_.keeps() || bot_took_ > *job.refused_since) return false;
    if (refused_.size() < kMany) {
      refused_.insert(UserOf(job).value_or(-1 - IdOf(job)));
    }
    return absl::IsNotFound(status) ||
           refused_.size() >=
               (window_.size() < kGivenAtOnce ? kSeveral : kMany);
  }

  bool HasTimeLeft(const Job& job) {
    const auto user = UserOf(job);
    if (!user || !job.call.is_null()) return true;
    const base::MutexLock lock(mutex_);
    const auto failing = failing_.find(*user);
    return failing == failing_.end() || IdOf(job) > failing->second.newest ||
           failing->second.left > absl::ZeroDuration();
  }

  // Whether the update fails by itself, and not because somebody is away.
  bool IsOwn(Job& job, Peer peer, const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // Of an overload, a part gets through: it is the update's only where, since
    // it failed first, the bot took more than it turned away.
    if (IsOverload(peer, status)) {
      if (peer == kService) return false;
      if (!job.overloaded_since) job.overloaded_since = bot_balance_;
      return bot_balance_ > *job.overloaded_since;
    }
    if (peer != kService && !absl::IsUnavailable(status)) return true;
    // If a peer works for somebody who came after the failure, it is not away.
    if (!job.away_since[peer]) job.away_since[peer] = SteadyTime::Now();
    return got_through_[peer] > *job.away_since[peer];
  }

  // What was begun then did not fail because of the peer.
  void GotThrough(Peer peer, SteadyTime begin)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    got_through_[peer] = std::max(got_through_[peer], begin);
  }

  // A pause that Telegram wants is that of one chat.
  static bool IsOverload(Peer peer, const absl::Status& status) {
    return peer != kTelegram && absl::IsResourceExhausted(status);
  }

  static std::int64_t IdOf(const Job& job) {
    return job.update.outcome.update_id.value_or(0);
  }
  static absl::optional<std::int64_t> UserOf(const Job& job) {
    return job.update.outcome.user_id;
  }

  static absl::Duration WantedPause(const absl::Status& status) {
    return RetryAfter(status).value_or(absl::ZeroDuration());
  }
  static absl::Duration PauseAfter(const absl::Status& status,
                                   Backoff& backoff) {
    return std::max(WantedPause(status), backoff.Next());
  }

  const PollerOptions& options_;
  UpdateSource& source_;
  TelegramApi& telegram_;
  DeadLetters* const dead_letters_;  // null: passed over is lost
  const std::string& bot_;           // its token
  Delivery& delivery_;
  AdapterMetrics& metrics_;
  const StopEvent& stop_;

  absl::optional<std::int64_t> offset_;    // of the first that is not done
  std::atomic<std::int64_t> newest_ = -1;  // that was added
  std::atomic<bool> ended_ = false;

  base::Mutex mutex_;
  // When the newest call of each peer began that did not find it away.
  SteadyTime got_through_[kPeers] ABSL_GUARDED_BY(mutex_);
  // Updates that the bot took, less those that it turned away.
  std::int64_t bot_balance_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::int64_t, Failing> failing_ ABSL_GUARDED_BY(mutex_);
  // Some of whom the bot refused an update since it took one; below 0 updates
  // of nobody. And when the newest began that it took.
  std::set<std::int64_t> refused_ ABSL_GUARDED_BY(mutex_);
  SteadyTime bot_took_ ABSL_GUARDED_BY(mutex_);
  std::atomic<std::int64_t> passed_over_ = 0;

  UpdateWindow window_;
  WorkQueue queue_;
};

}  // namespace

void AddPollerFlags(ops::Command command, PollerOptions& options) {
  ops::AddFlag(command, "--in-flight", options.in_flight,
               "How many updates the bot gets at once")
      .TypeName("NUMBER")
      .Range(1, 100);
  ops::AddFlag(command, "--attempts", options.attempts,
               "How often an update is tried that fails by itself: with an "
               "error, a broken or too long answer, or none in time")
      .TypeName("NUMBER")
      .Range(1, 1000);
  ops::AddFlag(command, "--dead-letter", options.dead_letter,
               "Keeps in this file what is passed over, for 'replay'")
      .TypeName("FILE");
}

absl::StatusOr<std::int64_t> DeliverUpdates(const PollerOptions& options,
                                            UpdateSource& source,
                                            TelegramApi& telegram,
                                            Sidecar& sidecar) {
  std::unique_ptr<DeadLetters> dead_letters;
  if (!options.dead_letter.empty()) {
    USERPROFILE_ASSIGN_OR_RETURN(dead_letters,
                                 DeadLetters::Open(options.dead_letter));
  }
  Poller poller(options, source, telegram, sidecar, dead_letters.get());
  USERPROFILE_RETURN_IF_ERROR(poller.Run());
  return poller.passed_over();
}

}  // namespace userprofile::adapter
