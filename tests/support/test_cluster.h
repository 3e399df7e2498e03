#ifndef USERPROFILE_TESTS_SUPPORT_TEST_CLUSTER_H_
#define USERPROFILE_TESTS_SUPPORT_TEST_CLUSTER_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "server/postgres/embedded_cluster.h"

namespace userprofile::testing {

// Starts a PostgreSQL server for tests in a new directory, or one that was
// stopped. It survives no power cut. A new one is a copy of one that was made
// before, which spares us initdb: all have the same system identifier. What
// goes wrong ends the program with a message.
std::unique_ptr<postgres::EmbeddedCluster> StartTestCluster(
    const std::string& directory);

// Signals all processes of a PostgreSQL server, the main one first, so that it
// starts no others: SIGSTOP freezes it, and its connections stay.
void SignalCluster(pid_t postmaster, int signal);

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_TEST_CLUSTER_H_
