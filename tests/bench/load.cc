#include "tests/bench/load.h"

#include <poll.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "tests/bench/grpc_connection.h"

namespace userprofile::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

Clock::duration ToTicks(Seconds seconds) {
  return std::chrono::duration_cast<Clock::duration>(seconds);
}

class Driver {
 public:
  Driver(const LoadOptions& options, const Requests& requests)
      : options_(options), requests_(requests) {
    const int connections = options.connections > 0
                                ? options.connections
                                : std::max(4, (options.in_flight + 63) / 64);
    for (int i = 0; i < connections; ++i) {
      connections_.push_back(
          std::make_unique<GrpcConnection>(options.server, options.timeout));
    }
    slots_ = std::vector<Slot>(static_cast<std::size_t>(options.in_flight));
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slots_[i].driver = this;
      slots_[i].connection = connections_[i % connections_.size()].get();
      idle_.push_back(&slots_[i]);
    }
  }

  LoadResult Run(const std::function<void()>& on_begin,
                 const std::function<void()>& on_end) {
    Introduce();
    start_ = Clock::now();
    next_due_ = start_;
    begin_ = start_ + ToTicks(options_.warm_up);
    end_ = begin_ + ToTicks(options_.measured);
    RunUntil(begin_);
    on_begin();
    RunUntil(end_);
    on_end();
    Drain();
    return std::move(result_);
  }

 private:
  // Room for one call at a time.
  struct Slot final : GrpcConnection::Call {
    void OnAnswer(const std::string& status) override {
      driver->Answered(*this, status);
    }

    Driver* driver = nullptr;
    GrpcConnection* connection = nullptr;
    Clock::time_point due;
  };

  // A call on a connection that only needs to be let in.
  struct Greeting final : GrpcConnection::Call {
    void OnAnswer(const std::string&) override { ++*answered; }
    std::size_t* answered = nullptr;
  };

  // One valid call on each connection: the server limits what comes by those on
  // which no call was let in yet, and health checks need not be.
  void Introduce() {
    const Requests greetings({{"get", 1}}, /*users=*/1, /*seed=*/1,
                             /*count=*/1);
    std::size_t answered = 0;
    std::vector<Greeting> calls(connections_.size());
    for (std::size_t i = 0; i < calls.size(); ++i) {
      calls[i].answered = &answered;
      connections_[i]->StartCall(greetings[0], &calls[i]);
    }
    const Clock::time_point limit = Clock::now() + 2 * options_.timeout;
    while (answered < calls.size()) {
      if (Clock::now() > limit) {
        throw std::runtime_error("the server leaves calls without an answer");
      }
      AwaitAnswers(limit);
    }
  }

  bool closed_loop() const { return options_.rate <= 0; }

  void RunUntil(Clock::time_point end) {
    while (Clock::now() < end) {
      StartCalls();
      const bool may_start_later = !closed_loop() && !idle_.empty();
      AwaitAnswers(may_start_later ? std::min(next_due_, end) : end);
    }
  }

  // Those that are due and have room.
  void StartCalls() {
    while (!idle_.empty()) {
      const Clock::time_point now = Clock::now();
      if (closed_loop()) {
        StartCall(now);
      } else if (next_due_ <= now) {
        if (now - next_due_ < options_.timeout) {
          StartCall(next_due_);
        } else {
          ++result_.failures["given up before there was room for it"];
        }
        next_due_ += ToTicks(Seconds(1 / options_.rate));
      } else {
        return;
      }
    }
  }

  void StartCall(Clock::time_point due) {
    Slot& slot = *idle_.back();
    idle_.pop_back();
    const Requests::Request& request = requests_[next_request_++];
    slot.due = due;
    slot.connection->StartCall(request, &slot);
  }

  // Sends what was started, and handles the answers that are there, or the next
  // one until `deadline`.
  void AwaitAnswers(Clock::time_point deadline) {
    polled_.clear();
    for (const auto& connection : connections_) {
      connection->Flush();
      const int events =
          connection->wants_to_send() ? POLLIN | POLLOUT : POLLIN;
      polled_.push_back({connection->fd(), static_cast<short>(events), 0});
    }
    const auto wait =
        std::max(deadline - Clock::now(), Clock::duration::zero());
    const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
    const timespec patience = {
        seconds.count(),
        std::chrono::duration_cast<std::chrono::nanoseconds>(wait - seconds)
            .count()};
    if (ppoll(polled_.data(), polled_.size(), &patience, nullptr) <= 0) return;
    for (std::size_t i = 0; i < polled_.size(); ++i) {
      if ((polled_[i].revents & ~POLLOUT) != 0) connections_[i]->Read();
    }
  }

  void Answered(Slot& slot, const std::string& status) {
    const Clock::time_point now = Clock::now();
    if (!status.empty()) {
      ++result_.failures[status];
    } else if (begin_ <= now && now < end_) {
      const auto latency =
          std::chrono::duration_cast<std::chrono::microseconds>(now - slot.due);
      result_.latencies_us.push_back(
          static_cast<std::uint32_t>(latency.count()));
    }
    idle_.push_back(&slot);
  }

  void Drain() {
    const Clock::time_point limit = Clock::now() + 2 * options_.timeout;
    while (idle_.size() < slots_.size()) {
      if (Clock::now() > limit) {
        throw std::runtime_error("the server leaves calls without an answer");
      }
      AwaitAnswers(limit);
    }
  }

  const LoadOptions& options_;
  const Requests& requests_;
  std::vector<std::unique_ptr<GrpcConnection>> connections_;
  std::vector<Slot> slots_;
  std::vector<Slot*> idle_;
  std::vector<pollfd> polled_;
  std::size_t next_request_ = 0;
  Clock::time_point start_, begin_, end_, next_due_;
  LoadResult result_;
};

}  // namespace

LoadResult PutLoad(const LoadOptions& options, const Requests& requests,
                   const std::function<void()>& on_begin,
                   const std::function<void()>& on_end) {
  return Driver(options, requests).Run(on_begin, on_end);
}

}  // namespace userprofile::bench
