#ifndef USERPROFILE_TESTS_BENCH_LOAD_H_
#define USERPROFILE_TESTS_BENCH_LOAD_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/requests.h"

namespace userprofile::bench {

struct LoadOptions {
  std::string server = "127.0.0.1:50051";

  // At most this many calls are under way at a time.
  int in_flight = 128;

  // Spread over this many connections; 0 for as many as they need where a
  // server takes 64 calls at a time from each, and 4 at least.
  int connections = 0;

  // Calls per second. 0 is a closed loop: whoever is answered calls again at
  // once. Otherwise an open one: calls are due at even intervals whether others
  // were answered or not, and their latency counts from when they were due.
  double rate = 0;

  std::chrono::duration<double> warm_up = std::chrono::seconds(2);
  std::chrono::duration<double> measured = std::chrono::seconds(10);

  // Each call's deadline. In an open loop a call that finds no room among those
  // under way for as long is given up, as a client would.
  std::chrono::seconds timeout = std::chrono::seconds(10);
};

struct LoadResult {
  // Of the calls that were answered with OK in the measured time.
  std::vector<std::uint32_t> latencies_us;

  // By status code and message, those of the warm-up included.
  std::map<std::string, std::int64_t> failures;
};

// Puts a load on a server, from this thread alone. Throws std::runtime_error if
// the server can't be reached, or breaks off. `on_begin` and `on_end` are
// called as the measured time begins and ends.
LoadResult PutLoad(const LoadOptions& options, const Requests& requests,
                   const std::function<void()>& on_begin,
                   const std::function<void()>& on_end);

}  // namespace userprofile::bench

#endif  // USERPROFILE_TESTS_BENCH_LOAD_H_
