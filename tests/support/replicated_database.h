#ifndef USERPROFILE_TESTS_SUPPORT_REPLICATED_DATABASE_H_
#define USERPROFILE_TESTS_SUPPORT_REPLICATED_DATABASE_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "server/postgres/embedded_cluster.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {

// Two PostgreSQL servers of a test's own: a primary, and a streaming standby
// that its commits wait for (synchronous_standby_names). Both are reached by
// Unix sockets, as superuser, and end with this object. Takes about two seconds
// to make, so let the tests of a suite share one where they can. What goes
// wrong here ends the program with a message. Not thread-safe, but for the
// connection strings and Execute.
class ReplicatedDatabase {
 public:
  ReplicatedDatabase();
  ~ReplicatedDatabase();
  ReplicatedDatabase(const ReplicatedDatabase&) = delete;
  ReplicatedDatabase& operator=(const ReplicatedDatabase&) = delete;

  // Connection strings. Of both hosts, either the primary or the standby is
  // named first.
  const std::string& primary() const { return primary_->conninfo(); }
  const std::string& standby() const { return standby_conninfo_; }
  std::string both_primary_first() const;
  std::string both_standby_first() const;

  // Runs SQL on either server, which waits for no standby. The rows as text,
  // fields with a | between them.
  static std::string Execute(const std::string& conninfo,
                             absl::string_view sql);

  // Stops all processes of the standby, connections stay: commits on the
  // primary wait from now on. Thaw lets them go on.
  void FreezeStandby();
  void ThawStandby();

  // The same for the primary: it takes connections, and never answers.
  void FreezePrimary();
  void ThawPrimary();

  // Makes the standby a primary, on the next timeline. The old one stays one
  // too, as after a failover that did not stop it: its commits wait for a
  // standby that is not there, until SetSynchronous(false).
  void PromoteStandby();

  // Whether commits on the (old) primary wait for a standby.
  void SetSynchronous(bool synchronous);

  // How many backends of the primary wait for the standby right now, and ends
  // these waits as an operator would who cancels them (pg_cancel_backend).
  int WaitingCommits() const;
  void CancelWaitingCommits();

 private:
  void StartStandby();

  TempDir directory_;
  std::unique_ptr<postgres::EmbeddedCluster> primary_;
  std::string standby_conninfo_;
  pid_t standby_pid_ = 0;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_REPLICATED_DATABASE_H_
