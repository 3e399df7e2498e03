#ifndef USERPROFILE_TESTS_SUPPORT_OWN_CLUSTER_H_
#define USERPROFILE_TESTS_SUPPORT_OWN_CLUSTER_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "server/postgres/embedded_cluster.h"
#include "server/postgres/rows.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {

// A PostgreSQL of a test's own, whose settings can be changed and which can be
// frozen. Takes a second to make: share it among the tests of a suite. What
// goes wrong with its SQL fails the test.
class OwnCluster {
 public:
  OwnCluster();

  const std::string& conninfo() const { return conninfo_; }

  void Stop() { cluster_ = nullptr; }
  void Start();

  // ALTER SYSTEM SET, in force at once: "work_mem = '8MB'". Waits for no
  // standby, nor does Execute, which writes whatever the settings are.
  void Set(const std::string& setting);
  postgres::Rows Execute(absl::string_view sql);

  // Sends the signal to each of its processes: SIGSTOP freezes it.
  void Signal(int signal);

 private:
  TempDir directory_;
  std::unique_ptr<postgres::EmbeddedCluster> cluster_;
  std::string conninfo_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_OWN_CLUSTER_H_
