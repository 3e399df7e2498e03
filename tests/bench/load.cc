#include "tests/bench/load.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <optional>

namespace userprofile::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

Clock::duration ToTicks(Seconds seconds) {
  return std::chrono::duration_cast<Clock::duration>(seconds);
}

// Room for one call at a time.
struct Slot {
  grpc::GenericStub* stub = nullptr;
  std::optional<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer response;
  grpc::Status status;
  Clock::time_point due;
};

class Driver {
 public:
  Driver(const LoadOptions& options, const Requests& requests)
      : options_(options), requests_(requests) {
    for (int i = 0; i < options.connections; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
      stubs_.push_back(
          std::make_unique<grpc::GenericStub>(grpc::CreateCustomChannel(
              options.server, grpc::InsecureChannelCredentials(), arguments)));
    }
    slots_ = std::vector<Slot>(static_cast<std::size_t>(options.in_flight));
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slots_[i].stub = stubs_[i % stubs_.size()].get();
      idle_.push_back(&slots_[i]);
    }
  }

  LoadResult Run(const std::function<void()>& on_begin,
                 const std::function<void()>& on_end) {
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
  bool closed_loop() const { return options_.rate <= 0; }

  void RunUntil(Clock::time_point end) {
    while (Clock::now() < end) {
      StartCalls();
      const bool may_start_later = !closed_loop() && !idle_.empty();
      AwaitAnswer(may_start_later ? std::min(next_due_, end) : end);
    }
  }

  // Those that are due and have room.
  void StartCalls() {
    while (!idle_.empty()) {
      const Clock::time_point now = Clock::now();
      if (closed_loop()) {
        StartCall(now);
      } else if (next_due_ <= now) {
        StartCall(next_due_);
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
    slot.context.emplace();
    slot.context->set_deadline(std::chrono::system_clock::now() +
                               ToTicks(options_.timeout));
    slot.reader = slot.stub->PrepareUnaryCall(&*slot.context, request.path,
                                              request.message, &queue_);
    slot.reader->StartCall();
    slot.reader->Finish(&slot.response, &slot.status, &slot);
  }

  // Handles the next answer, if there is one until `deadline`.
  void AwaitAnswer(Clock::time_point deadline) {
    void* tag;
    bool ok;
    const auto until =
        std::chrono::system_clock::now() + (deadline - Clock::now());
    if (queue_.AsyncNext(&tag, &ok, until) ==
        grpc::CompletionQueue::GOT_EVENT) {
      Answered(*static_cast<Slot*>(tag));
    }
  }

  void Answered(Slot& slot) {
    const Clock::time_point now = Clock::now();
    if (!slot.status.ok()) {
      ++result_.failures[std::to_string(slot.status.error_code()) + " " +
                         slot.status.error_message()];
    } else if (begin_ <= now && now < end_) {
      const auto latency =
          std::chrono::duration_cast<std::chrono::microseconds>(now - slot.due);
      result_.latencies_us.push_back(
          static_cast<std::uint32_t>(latency.count()));
    }
    idle_.push_back(&slot);
  }

  void Drain() {
    while (idle_.size() < slots_.size()) {
      AwaitAnswer(Clock::now() + ToTicks(options_.timeout));
    }
    queue_.Shutdown();
    void* tag;
    bool ok;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  const LoadOptions& options_;
  const Requests& requests_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  grpc::CompletionQueue queue_;
  std::vector<Slot> slots_;
  std::vector<Slot*> idle_;
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
