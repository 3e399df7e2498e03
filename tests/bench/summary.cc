#include "tests/bench/summary.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace userprofile::bench {
namespace {

constexpr std::pair<const char*, double> kPercentiles[] = {
    {"p50_us", 0.5},     {"p90_us", 0.9},       {"p99_us", 0.99},
    {"p99.9_us", 0.999}, {"p99.99_us", 0.9999}, {"max_us", 1}};

double Rounded(double value) { return std::round(value * 100) / 100; }

}  // namespace

nlohmann::ordered_json Summarize(LoadResult result, double seconds,
                                 const std::map<std::string, Usage>& usages) {
  nlohmann::ordered_json json;
  std::vector<std::uint32_t>& latencies = result.latencies_us;
  std::sort(latencies.begin(), latencies.end());
  const auto calls = static_cast<double>(latencies.size());
  json["per_second"] = std::round(calls / seconds);
  json["failures"] = result.failures;
  if (latencies.empty()) return json;
  for (const auto& [name, share] : kPercentiles) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * calls));
    json[name] = latencies[rank - 1];
  }
  for (const auto& [name, usage] : usages) {
    const double cpu = usage.after.cpu_seconds - usage.before.cpu_seconds;
    json[name + "_cpu_us"] = Rounded(cpu * 1e6 / calls);
    json[name + "_cores"] = Rounded(cpu / seconds);
    json[name + "_resident_mib"] =
        Rounded(static_cast<double>(usage.after.resident_kib) / 1024);
  }
  return json;
}

}  // namespace userprofile::bench
