#include "server/store/lane.h"

#include <benchmark/benchmark.h>

#include <memory>
#include <utility>

#include "absl/synchronization/blocking_counter.h"

namespace userprofile::store {
namespace {

// Does nothing, at once.
class IdleExecutor final : public BatchExecutor {
 public:
  absl::Status Connect() override { return absl::OkStatus(); }
  absl::Status Execute(absl::Span<Operation* const>) override {
    return absl::OkStatus();
  }
};

// What a lane costs each request, that many of them at a time.
void BM_Lane(benchmark::State& state) {
  const auto in_flight = static_cast<int>(state.range(0));
  ops::Metrics metrics;
  Lane::Options options;
  options.metrics = LaneMetrics(&metrics, "benchmark");
  Lane lane(std::move(options),
            [] { return std::make_unique<IdleExecutor>(); });
  for (auto _ : state) {
    absl::BlockingCounter unanswered(in_flight);
    for (int i = 0; i < in_flight; ++i) {
      lane.Submit(std::make_unique<Operation>(
          CallContext{},
          [&unanswered](absl::Status) { unanswered.DecrementCount(); }));
    }
    unanswered.Wait();
  }
  state.SetItemsProcessed(state.iterations() * in_flight);
}
BENCHMARK(BM_Lane)->Arg(1)->Arg(16)->Arg(128)->Arg(1024)->UseRealTime();

}  // namespace
}  // namespace userprofile::store
