// Tests that make networks and fail machines. So they run apart: in namespaces
// of their own for processes, network, mounts and shared memory, with a /run
// and /dev/shm in memory. Nothing of them outlives the program, however that
// ends, and every port is free.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/ha/patroni_cluster.h"

namespace {

constexpr char kApart[] = "USERPROFILE_TEST_RUNS_APART";

// Not the last command of the shell, for the first process has to take the
// exit codes of those that lost their parents.
constexpr char kScript[] = R"(
  set -e
  mount -t tmpfs -o size=4g,mode=755 none /run
  mount -t tmpfs none /dev/shm
  ip link set lo up
  export TMPDIR=/run/tests
  mkdir "$TMPDIR"
  code=0
  "$0" "$@" || code=$?
  exit "$code"
)";

void RunApart(int argc, char** argv) {
  setenv(kApart, "1", 1);
  std::vector<std::string> words = {
      "setpriv",      "--pdeathsig", "KILL",  "unshare", "--mount",
      "--net",        "--pid",       "--ipc", "--fork",  "--kill-child",
      "--mount-proc", "bash",        "-c",    kScript,   "/proc/self/exe"};
  std::string self(4096, '\0');
  self.resize(static_cast<std::size_t>(
      readlink("/proc/self/exe", self.data(), self.size())));
  words.back() = self;
  words.insert(words.end(), argv + 1, argv + argc);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  std::perror(pointers[0]);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  // Without root or a program, the tests say so.
  if (getenv(kApart) == nullptr && geteuid() == 0 &&
      userprofile::testing::PatroniCluster::Missing().empty()) {
    RunApart(argc, argv);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
