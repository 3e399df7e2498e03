#include "ops/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/read_file.h"

namespace userprofile::ops {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

void Append(const char* name, const char* help, MetricType type, double value,
            std::vector<MetricFamily>& families) {
  prometheus::ClientMetric metric;
  metric.counter.value = value;
  metric.gauge.value = value;
  families.push_back({name, help, type, {metric}});
}

std::string Read(const char* path) { return base::ReadFile(path).value_or(""); }

// The fields of proc(5) /proc/self/stat, each under its number there.
class Stat {
 public:
  Stat() : text_(Read("/proc/self/stat")) {
    // The second field is the program's name, in parentheses, and may hold
    // anything.
    const std::size_t end = text_.rfind(')');
    if (end == std::string::npos) return;
    fields_ = absl::StrSplit(absl::string_view(text_).substr(end + 1), ' ',
                             absl::SkipWhitespace());
  }

  bool complete() const { return fields_.size() > kLast - kThird; }

  double operator[](std::size_t number) const {
    double value = 0;
    if (!absl::SimpleAtod(fields_[number - kThird], &value)) return 0;
    return value;
  }

 private:
  static constexpr std::size_t kThird = 3;
  static constexpr std::size_t kLast = 24;

  const std::string text_;
  std::vector<absl::string_view> fields_;
};

// When the machine booted, in seconds since 1970; 0 if unknown.
double BootTime() {
  const std::string text = Read("/proc/stat");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    double seconds = 0;
    if (absl::ConsumePrefix(&line, "btime ") &&
        absl::SimpleAtod(line, &seconds)) {
      return seconds;
    }
  }
  return 0;
}

}  // namespace

void AppendProcessMetrics(std::vector<MetricFamily>& families) {
  const Stat stat;
  if (stat.complete()) {
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    Append("process_cpu_seconds_total", "CPU time, user and system.",
           MetricType::Counter, (stat[14] + stat[15]) / ticks, families);
    Append("process_threads", "Threads.", MetricType::Gauge, stat[20],
           families);
    static const double boot_time = BootTime();
    if (boot_time > 0) {
      Append("process_start_time_seconds",
             "When the process started, in seconds since 1970.",
             MetricType::Gauge, boot_time + stat[22] / ticks, families);
    }
    Append("process_virtual_memory_bytes", "Address space.", MetricType::Gauge,
           stat[23], families);
    Append("process_resident_memory_bytes", "Memory in use.", MetricType::Gauge,
           stat[24] * static_cast<double>(sysconf(_SC_PAGESIZE)), families);
  }
  const std::size_t fds = base::ListFolder("/proc/self/fd").size();
  if (fds > 0) {
    // One of them reads the folder.
    Append("process_open_fds", "Files and sockets that are open.",
           MetricType::Gauge, static_cast<double>(fds - 1), families);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    Append("process_max_fds", "Files and sockets that may be open.",
           MetricType::Gauge, static_cast<double>(limit.rlim_cur), families);
  }
}

}  // namespace userprofile::ops
