#include "client/adapter/poller.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "client/adapter/backoff.h"
#include "client/adapter/turns.h"
#include "client/adapter/update_line.h"
#include "spdlog/spdlog.h"

namespace userprofile::adapter {
namespace {

using nlohmann::json;

// Deeper than any method's arguments; what is deeper is left out, for the
// library needs stack for each level that it copies or writes.
constexpr int kMaxDepth = 100;

// An update on its way.
struct Item {
  Item(UpdateLine read, std::string content, Turns& turns)
      : update(std::move(read)),
        text(std::move(content)),
        turn(turns.Take(update.outcome.user_id.value_or(0))) {}

  const UpdateLine update;
  const std::string text;
  Turns::Turn turn;
  bool done = false;
};

class Poller {
 public:
  Poller(const PollOptions& options, TelegramApi& telegram, Delivery& delivery,
         AdapterMetrics& metrics, const StopEvent& stop)
      : options_(options),
        telegram_(telegram),
        delivery_(delivery),
        metrics_(metrics),
        stop_(stop) {}

  absl::Status Run() {
    absl::Status status = PollUntilStopped();
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
      auto updates = telegram_.GetUpdates(offset_, options_.poll_timeout);
      if (stop_.IsSet()) break;
      metrics_.SetPeer(Peer::kTelegram, updates.status());
      if (absl::IsUnauthenticated(updates.status())) return updates.status();
      if (!updates.ok()) {
        Pause(updates.status(), backoff);
        continue;
      }
      backoff = Backoff();
      // All is confirmed. Telegram may start anew at a lower id after a week.
      if (updates->empty()) offset_.reset();
      WorkOff(*updates);
    }
    return absl::OkStatus();
  }

  // Delivers the updates, and moves the offset past those that are done.
  void WorkOff(const std::vector<json>& updates) {
    Turns turns;
    std::deque<Item> items;
    for (const json& update : updates) {
      std::string text =
          update.dump(-1, ' ', false, json::error_handler_t::replace);
      items.emplace_back(ReadUpdate(text), std::move(text), turns);
    }
    std::vector<std::thread> workers(
        std::min(options_.in_flight, items.size()));
    std::atomic<std::size_t> next = 0;
    for (std::thread& worker : workers) {
      worker = std::thread([&] {
        for (std::size_t i = next++; i < items.size(); i = next++) {
          Turns::Turn turn = std::move(items[i].turn);
          turn.Await();
          items[i].done = Handle(items[i]);
        }
      });
    }
    for (std::thread& worker : workers) worker.join();
    for (const Item& item : items) {
      if (!item.done) break;
      if (const auto id = item.update.outcome.update_id) offset_ = *id + 1;
    }
  }

  // Brings an update to the bot, and its answer to Telegram. False if it could
  // not until the stop.
  bool Handle(const Item& item) {
    const std::int64_t id = item.update.outcome.update_id.value_or(0);
    if (item.update.outcome.is_error()) {
      spdlog::error("update {}: {}", id, item.update.outcome.message);
    }
    Backoff backoff;
    for (int attempt = 1; !stop_.IsSet();) {
      const auto answer = delivery_.Deliver(item.update, item.text);
      if (answer.ok() && answer->taken()) return Act(*answer, id);
      if (answer.ok() && attempt++ == options_.attempts) {
        spdlog::error(
            "update {}: passed over, for the bot answered {} times "
            "with an error, at last {}",
            id, options_.attempts, answer->status);
        metrics_.CountRefusedByBot();
        return true;
      }
      stop_.WaitFor(backoff.Next());
    }
    return false;
  }

  // Makes the call that the bot's answer names, if it names one.
  bool Act(const BotAnswer& answer, std::int64_t id) {
    const json call = json::parse(
        answer.body,
        [](int depth, json::parse_event_t, json&) {
          return depth <= kMaxDepth;
        },
        /*allow_exceptions=*/false);
    if (!call.is_object() || !call.contains("method")) return true;
    Backoff backoff;
    do {
      const absl::Status status = telegram_.Call(call);
      if (status.ok()) return true;
      // Polling again will find the same, and end.
      if (absl::IsUnauthenticated(status)) return false;
      if (absl::IsInvalidArgument(status) || absl::IsNotFound(status)) {
        spdlog::warn("update {}: the bot's answer: {}", id,
                     std::string(status.message()));
        return true;
      }
      metrics_.SetPeer(Peer::kTelegram, status);
      Pause(status, backoff);
    } while (!stop_.IsSet());
    return false;
  }

  // For as long as Telegram asks for, if it is longer than our own wait.
  void Pause(const absl::Status& status, Backoff& backoff) {
    stop_.WaitFor(std::max(RetryAfter(status).value_or(absl::ZeroDuration()),
                           backoff.Next()));
  }

  const PollOptions& options_;
  TelegramApi& telegram_;
  Delivery& delivery_;
  AdapterMetrics& metrics_;
  const StopEvent& stop_;
  absl::optional<std::int64_t> offset_;
};

}  // namespace

absl::Status RunPoll(const PollOptions& options, TelegramApi& telegram,
                     Delivery& delivery, AdapterMetrics& metrics,
                     const StopEvent& stop) {
  return Poller(options, telegram, delivery, metrics, stop).Run();
}

}  // namespace userprofile::adapter
