#ifndef USERPROFILE_TESTS_BENCH_SUMMARY_H_
#define USERPROFILE_TESTS_BENCH_SUMMARY_H_

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/load.h"
#include "tests/bench/process_tree.h"

namespace userprofile::bench {

// What a process tree used over the measured time.
struct Usage {
  ProcessTree before;
  ProcessTree after;
};

// One JSON object: calls per second, failures, percentiles of the latency
// in microseconds (nearest rank, of all calls, not of buckets), and for each
// watched process the CPU time per call in microseconds and its memory.
nlohmann::ordered_json Summarize(LoadResult result, double seconds,
                                 const std::map<std::string, Usage>& usages);

}  // namespace userprofile::bench

#endif  // USERPROFILE_TESTS_BENCH_SUMMARY_H_
