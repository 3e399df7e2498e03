// Puts a load on a userprofile server and prints one line of JSON about it.

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/load.h"
#include "tests/bench/process_tree.h"
#include "tests/bench/requests.h"
#include "tests/bench/summary.h"

namespace userprofile::bench {
namespace {

constexpr std::size_t kPreparedRequests = 1 << 18;

struct Options {
  LoadOptions load;
  std::string mix = "upsert";
  std::int64_t users = 100000;
  unsigned seed = 1;
  double seconds = 10;
  double warm_up_seconds = 2;
  int timeout_seconds = 10;
  std::vector<std::string> watched;
};

int Run(const Options& options) {
  const Requests requests(ParseMix(options.mix), options.users, options.seed,
                          kPreparedRequests);
  std::map<std::string, pid_t> watched = {{"generator", getpid()}};
  for (const std::string& process : options.watched) {
    const std::size_t equals = process.find('=');
    watched[process.substr(0, equals)] =
        static_cast<pid_t>(std::stol(process.substr(equals + 1)));
  }
  std::map<std::string, Usage> usages;
  LoadResult result = PutLoad(
      options.load, requests,
      [&] {
        for (const auto& [name, id] : watched) {
          usages[name].before = ReadProcessTree(id);
        }
      },
      [&] {
        for (const auto& [name, id] : watched) {
          usages[name].after = ReadProcessTree(id);
        }
      });
  const nlohmann::ordered_json json =
      Summarize(std::move(result), options.seconds, usages);
  std::cout << json.dump() << std::endl;
  return json["failures"].empty() && json["per_second"] > 0 ? 0 : 1;
}

}  // namespace
}  // namespace userprofile::bench

int main(int argc, char** argv) {
  using userprofile::bench::ParseMix;
  userprofile::bench::Options options;
  CLI::App app(
      "Puts a load on a userprofile server and prints one line of JSON about "
      "it: calls per second, latencies, CPU time per call.",
      "userprofile-bench");
  app.add_option("--server", options.load.server, "HOST:PORT or unix:PATH")
      ->capture_default_str();
  app.add_option("--mix", options.mix,
                 "What to call: check, get, upsert, rename, onboard, get-100 "
                 "or upsert-100 (a batch, which counts as one call), or "
                 "several with weights, as in upsert=70,get=25,onboard=5")
      ->check([](const std::string& mix) {
        return ParseMix(mix).empty() ? "no such mix: " + mix : std::string();
      })
      ->capture_default_str();
  app.add_option("--in-flight", options.load.in_flight, "Calls at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--connections", options.load.connections,
                 "Connections; 0 for 4, or as many as the calls in flight need "
                 "where a server takes 64 from each")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--rate", options.load.rate,
                 "Calls per second that are due whether or not others were "
                 "answered; 0 calls again at once after each answer")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--users", options.users, "Random users from 1 to this")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of what is random")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "How long to measure")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--warm-up", options.warm_up_seconds,
                 "Seconds of load before that")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--timeout", options.timeout_seconds,
                 "Seconds until a call without an answer has failed")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--watch", options.watched,
                 "NAME=PROCESS_ID: tell the CPU time and memory of that "
                 "process and all that it started")
      ->check([](const std::string& process) {
        const std::size_t equals = process.find('=');
        const bool good = equals != std::string::npos &&
                          equals + 1 < process.size() &&
                          process.find_first_not_of("0123456789", equals + 1) ==
                              std::string::npos;
        return good ? std::string() : "not NAME=PROCESS_ID: " + process;
      });
  CLI11_PARSE(app, argc, argv);
  options.load.measured = std::chrono::duration<double>(options.seconds);
  options.load.timeout = std::chrono::seconds(options.timeout_seconds);
  options.load.warm_up = std::chrono::duration<double>(options.warm_up_seconds);
  try {
    return userprofile::bench::Run(options);
  } catch (const std::runtime_error& e) {
    std::cerr << "userprofile-bench: " << e.what() << std::endl;
    return 1;
  }
}
