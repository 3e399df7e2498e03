#include "server/postgres/array_literal.h"

#include <benchmark/benchmark.h>

namespace userprofile::postgres {
namespace {

constexpr int kElements = 128;

void BM_Int64s(benchmark::State& state) {
  ArrayLiteral literal;
  for (auto _ : state) {
    for (int i = 0; i < kElements; ++i) literal.AppendInt64(7'000'000'000 + i);
    benchmark::DoNotOptimize(literal.Finish());
  }
  state.SetItemsProcessed(state.iterations() * kElements);
}
BENCHMARK(BM_Int64s);

void BM_Texts(benchmark::State& state) {
  ArrayLiteral literal;
  for (auto _ : state) {
    for (int i = 0; i < kElements; ++i) literal.AppendText("Grace \"Hopper\"");
    benchmark::DoNotOptimize(literal.Finish());
  }
  state.SetItemsProcessed(state.iterations() * kElements);
}
BENCHMARK(BM_Texts);

}  // namespace
}  // namespace userprofile::postgres
