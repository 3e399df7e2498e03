// A process for tests to kill: runs an embedded cluster in the directory given,
// prints its connection string, and waits.

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "server/postgres/embedded_cluster.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  userprofile::postgres::EmbeddedCluster::Options options;
  options.directory = argv[1];
  options.durable = false;  // which is for power cuts, not for kill -9
  const auto cluster =
      userprofile::postgres::EmbeddedCluster::Start(std::move(options));
  if (!cluster.ok()) {
    std::printf("%s\n", cluster.status().ToString().c_str());
    return 1;
  }
  std::printf("%s\n", (*cluster)->conninfo().c_str());
  std::fflush(stdout);
  while (true) pause();
}
