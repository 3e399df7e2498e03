#include "tests/support/test_cluster.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "base/read_file.h"
#include "server/postgres/binaries.h"
#include "server/postgres/process.h"
#include "tests/support/end_unless_ok.h"

namespace userprofile::testing {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<postgres::EmbeddedCluster> StartIn(
    const std::string& directory) {
  postgres::EmbeddedCluster::Options options;
  options.directory = directory;
  options.durable = false;
  return ValueOrEnd(postgres::EmbeddedCluster::Start(std::move(options)));
}

// Where the directory of a new cluster is kept, in the build directory.
std::string Template() {
  return absl::StrCat(
      USERPROFILE_TEST_CLUSTER_TEMPLATE, "-",
      ValueOrEnd(postgres::FindBinaries(absl::nullopt)).major_version);
}

// Copies a directory, with the owners of what is in it.
bool Copy(const std::string& from, const std::string& to) {
  postgres::Command command;
  command.words = {"/bin/cp", "-a", from, to};
  const auto outcome = postgres::RunToEnd(std::move(command));
  return outcome.ok() && outcome->exit_code == 0;
}

// A directory made by a test program before us.
bool CopyTemplate(const std::string& directory) {
  std::error_code error;
  if (!fs::exists(Template(), error)) return false;
  if (Copy(Template(), directory)) return true;
  fs::remove_all(directory, error);
  return false;
}

// Keeps what a first start makes. Of programs that do so at the same time, one
// succeeds. What fails here costs only time.
void MakeTemplate(const std::string& directory) {
  StartIn(directory)->Stop();
  const std::string copy = absl::StrCat(Template(), ".", getpid());
  std::error_code error;
  if (Copy(directory, copy)) fs::rename(copy, Template(), error);
  fs::remove_all(copy, error);
}

}  // namespace

std::unique_ptr<postgres::EmbeddedCluster> StartTestCluster(
    const std::string& directory) {
  if (!postgres::EmbeddedCluster::Exists(directory) &&
      !CopyTemplate(directory)) {
    MakeTemplate(directory);
  }
  return StartIn(directory);
}

void SignalCluster(pid_t postmaster, int signal) {
  kill(postmaster, signal);
  for (const std::string& name : base::ListFolder("/proc")) {
    int pid = 0;
    if (!absl::SimpleAtoi(name, &pid)) continue;
    const auto stat = base::ReadFile(absl::StrCat("/proc/", name, "/stat"));
    if (!stat.ok()) continue;
    // "PID (NAME) STATE PARENT ..."
    const std::vector<absl::string_view> words = absl::StrSplit(
        absl::string_view(*stat).substr(stat->rfind(')') + 1), ' ');
    int parent = 0;
    if (words.size() > 2 && absl::SimpleAtoi(words[2], &parent) &&
        parent == postmaster) {
      kill(pid, signal);
    }
  }
}

}  // namespace userprofile::testing
