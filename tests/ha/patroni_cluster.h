#ifndef USERPROFILE_TESTS_HA_PATRONI_CLUSTER_H_
#define USERPROFILE_TESTS_HA_PATRONI_CLUSTER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/ha/network.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {

// Three PostgreSQL servers, each on a machine of its own (Network) under
// Patroni, an etcd, and HAProxy and PgBouncer beside this process: what
// deploy/patroni has, but for passwords. Commits wait for one of the standbys,
// whatever happens. The service's tables and roles are there. Takes some 15
// seconds to make. What goes wrong in that ends the program, what does later is
// a test failure. Not thread-safe, but for the static methods.
class PatroniCluster {
 public:
  static constexpr int kNodes = 3;

  // The programs that it needs and that are not there; empty if all are.
  static std::vector<std::string> Missing();

  PatroniCluster();
  ~PatroniCluster();
  PatroniCluster(const PatroniCluster&) = delete;
  PatroniCluster& operator=(const PatroniCluster&) = delete;

  Network& network() { return network_; }

  // What --database of a server takes, with the nodes in that order.
  static std::string Url(const std::vector<int>& nodes);

  // The same, by HAProxy, and by PgBouncer and then HAProxy.
  static std::string HaproxyUrl();
  static std::string PgbouncerUrl();

  // The node that Patroni calls the primary; 0 if there is none now. One that
  // is cut off is not asked.
  static int Primary();

  // Waits for a primary; for one that is not `not_this`. 0, and a test failure,
  // if there is none in a minute.
  static int AwaitPrimary(int not_this = 0);

  // Waits until each standby follows the primary, and commits wait for one.
  // Returns the primary.
  static int AwaitWhole();

  // The other nodes; the one that commits wait for is the first.
  static std::vector<int> StandbysOf(int primary);

  // Makes `to` the primary, in an orderly way.
  void SwitchOver(int to);

  // SIGKILL for everything on a machine, for its Patroni alone, or for the
  // postmaster alone.
  void KillNode(int node);
  void KillPatroni(int node);
  static void KillPostmaster(int node);

  // Starts Patroni on a node where it does not run.
  void Start(int node);

  // The same, of a node where nothing runs, as an empty one: it copies the
  // primary.
  void StartEmpty(int node);

  // Starts PostgreSQL without Patroni on a node where nothing runs, makes it a
  // primary, and waits until that takes writes. KillNode ends it.
  void PromoteAlone(int node);

  // Runs SQL as superuser on a node, over its own address, waiting for no
  // standby. The rows as text; empty if that can't be had within five seconds.
  static std::string Sql(int node, absl::string_view sql,
                         const std::string& database = "postgres");

  // ALTER SYSTEM on a node, in force at once.
  static void Set(int node, const std::string& setting,
                  const std::string& value);

  // What Patroni of a node has written.
  std::string Log(int node) const;

 private:
  std::string Data(int node) const;
  void WriteConfiguration(int node) const;
  static void MakeDatabase(int primary);
  void StartProxies();

  TempDir directory_;
  Network network_;
  std::unique_ptr<Program> etcd_;
  std::unique_ptr<Program> haproxy_;
  std::unique_ptr<Program> pgbouncer_;
  std::unique_ptr<Program> patroni_[kNodes + 1];  // by number
  std::unique_ptr<Program> alone_;                // of PromoteAlone
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_HA_PATRONI_CLUSTER_H_
