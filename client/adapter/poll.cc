#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/steady_time.h"
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

constexpr char kPollHelp[] =
    R"(Gets the bot's updates from Telegram by long polling, tells the service who
contacts the bot, and then posts each update to the bot as a webhook would, with)";
constexpr char kMorePollHelp[] = R"(
The bot answers 2xx once it has handled the update; its answer may name a method
for Telegram ({"method": "sendMessage", "chat_id": ..., "text": ...}). Only then
is the update confirmed. After a crash some come again. One that fails by itself
--attempts times, with nobody else's, is passed over.

The bot token is read from --bot-token-file, or from USERPROFILE_BOT_TOKEN.)";

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

struct PollOptions {
  SidecarOptions sidecar{.forward =
                             ForwardOptions{{"bot token", "--bot-token-file"}}};
  std::string bot_api_url = kBotApiUrl;

  // How long a getUpdates waits for an update.
  absl::Duration poll_timeout = absl::Seconds(50);

  // How many updates the bot gets at once, at least 1.
  std::size_t in_flight = 32;

  // How often an update is tried that fails by itself, before it is passed
  // over; and then the bot's answer to it.
  int attempts = 10;
};

// An update on its way.
struct Job {
  Update update;
  UpdateWindow::Done done;
  json call;         // what the bot answered, if Telegram is to be called
  int failures = 0;  // that are its own
  absl::optional<SteadyTime> away_since[kPeers];
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
// who come after it has failed.
class Poller {
 public:
  Poller(const PollOptions& options, TelegramApi& telegram, Sidecar& sidecar)
      : options_(options),
        telegram_(telegram),
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
    if (offset_) {
      (void)telegram_.GetUpdates(offset_, absl::ZeroDuration());
    }
    return status;
  }

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
          telegram_.GetUpdates(offset_, options_.poll_timeout, &stop_);
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
      if (status.ok()) {
        PassOver(*job, "those before it used up the time of this user's");
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
        if (const auto user = UserOf(job)) failing_.erase(*user);
      }
    }
    if (!answer.ok()) return answer.status();
    if (!taken) {
      peer = kBot;
      return absl::AbortedError(
          absl::StrCat("the bot answers with status ", answer->status));
    }
    std::string body = answer->body;
    json call = ParseJson(body);
    if (!call.is_object() || !call.contains("method")) return absl::OkStatus();
    job.call = std::move(call);
    job.failures = 0;
    job.backoff = Backoff();
    return absl::OkStatus();
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
    const base::MutexLock lock(mutex_);
    if (!IsOwn(job, peer, status)) return false;
    const auto user = UserOf(job);
    const bool one_attempt = user && failing_.contains(*user);
    if (++job.failures < (one_attempt ? 1 : options_.attempts) &&
        WantedPause(status) <= kLongestPause) {
      return false;
    }
    PassOver(job, why);
    if (job.call.is_null() && user) {
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
        failing = {newest_.load(),
                   2 * options_.sidecar.forward->forward_timeout};
      }
    }
    return true;
  }

  void PassOver(const Job& job, const std::string& why) {
    spdlog::error("update {}: {} passed over after {} failures: {}", IdOf(job),
                  job.call.is_null() ? "it is" : "its answer is", job.failures,
                  why);
    metrics_.CountPassedOver();
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

  const PollOptions& options_;
  TelegramApi& telegram_;
  const std::string& bot_;  // its token
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

  UpdateWindow window_;
  WorkQueue queue_;
};

int RunPoll(const PollOptions& options) {
  const auto url = ParseBotApiUrl(options.bot_api_url);
  if (!url.ok()) return Fail(url.status());
  return Sidecar::Run(
      options.sidecar, /*always_ready=*/false, [&](Sidecar& sidecar) {
        const std::string& token = sidecar.secret();
        if (!std::all_of(token.begin(), token.end(), absl::ascii_isgraph)) {
          return absl::InvalidArgumentError("the bot token is not one word");
        }
        TelegramApi telegram(*url, token);
        spdlog::info("polling, {}", sidecar.addresses());
        return Poller(options, telegram, sidecar).Run();
      });
}

}  // namespace

void AddPollCommand(ops::CommandLine& command_line) {
  ops::Command flags = command_line.AddCommand(
      command_line.root(), "poll",
      "Get updates from Telegram, and bring them to a bot");
  flags.Footer(absl::StrCat(kPollHelp, kHeadersHelp, kMorePollHelp));
  const auto options = std::make_shared<PollOptions>();
  AddSidecarFlags(flags, options->sidecar);
  AddBotApiFlag(flags, options->bot_api_url);
  ops::AddDurationFlag(flags, "--poll-timeout", options->poll_timeout,
                       "How long Telegram shall wait for an update");
  ops::AddFlag(flags, "--in-flight", options->in_flight,
               "How many updates the bot gets at once")
      .TypeName("NUMBER")
      .Range(1, 100);
  ops::AddFlag(flags, "--attempts", options->attempts,
               "How often an update is tried that fails by itself: with an "
               "error, a broken or too long answer, or none in time")
      .TypeName("NUMBER")
      .Range(1, 1000);
  command_line.OnCall(flags, [options] { return RunPoll(*options); });
}

}  // namespace userprofile::adapter
