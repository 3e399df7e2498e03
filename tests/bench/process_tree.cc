#include "tests/bench/process_tree.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace userprofile::bench {
namespace {

struct Process {
  pid_t parent = 0;
  double ticks = 0;
  std::int64_t pages = 0;
};

bool ReadProcess(const std::filesystem::path& folder, Process& process) {
  std::ifstream file(folder / "stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return false;
  std::istringstream rest(text.substr(end_of_name + 1));
  const std::vector<std::string> fields(
      (std::istream_iterator<std::string>(rest)), {});
  if (fields.size() < 22) return false;
  // Field 3 of proc(5), the state, is the first one here.
  const auto field = [&](std::size_t number) {
    return std::stoll(fields[number - 3]);
  };
  process.parent = static_cast<pid_t>(field(4));
  for (const std::size_t number : {14U, 15U, 16U, 17U}) {
    process.ticks += static_cast<double>(field(number));
  }
  process.pages = field(24);
  return true;
}

}  // namespace

ProcessTree ReadProcessTree(pid_t root) {
  std::map<pid_t, Process> processes;
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    Process process;
    if (!ReadProcess(entry.path(), process)) continue;
    const auto id = static_cast<pid_t>(std::stol(name));
    processes.emplace(id, process);
    children.emplace(process.parent, id);
  }
  ProcessTree tree;
  std::vector<pid_t> to_visit = {root};
  while (!to_visit.empty()) {
    const pid_t id = to_visit.back();
    to_visit.pop_back();
    const auto process = processes.find(id);
    if (process == processes.end()) continue;
    tree.cpu_seconds +=
        process->second.ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
    tree.resident_kib += process->second.pages * sysconf(_SC_PAGESIZE) / 1024;
    const auto [first, last] = children.equal_range(id);
    for (auto child = first; child != last; ++child) {
      to_visit.push_back(child->second);
    }
  }
  return tree;
}

}  // namespace userprofile::bench
