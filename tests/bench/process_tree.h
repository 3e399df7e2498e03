#ifndef USERPROFILE_TESTS_BENCH_PROCESS_TREE_H_
#define USERPROFILE_TESTS_BENCH_PROCESS_TREE_H_

#include <sys/types.h>

#include <cstdint>

namespace userprofile::bench {

// What a process and all that descends from it use, as /proc tells (proc(5)).
struct ProcessTree {
  // User and system time since they started, of children that ended included,
  // in seconds; the kernel counts it in hundredths.
  double cpu_seconds = 0;

  // Resident memory now. Shared pages count once for each process.
  std::int64_t resident_kib = 0;
};

// Zero for a process that is not there.
ProcessTree ReadProcessTree(pid_t root);

}  // namespace userprofile::bench

#endif  // USERPROFILE_TESTS_BENCH_PROCESS_TREE_H_
