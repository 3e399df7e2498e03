#ifndef USERPROFILE_SERVER_POSTGRES_SURVEY_H_
#define USERPROFILE_SERVER_POSTGRES_SURVEY_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/postgres/conninfo.h"
#include "server/postgres/known_cluster.h"
#include "server/postgres/server_identity.h"

namespace userprofile::postgres {

// What one host said when it was asked.
struct HostAnswer {
  absl::Status status;      // UNAVAILABLE if it did not answer, with the cause
  bool silent = false;      // of these, that time ran out
  ServerIdentity identity;  // if OK; without the backend
};

// Asks all hosts at once who they are, each by a connection of its own, and
// returns their answers in the same order. Waits up to `patience`; but for the
// hosts in `not_awaited` (by name) only until all others have answered and one
// of them takes writes. Names are resolved first, by libpq, one after the
// other, for as long as the system takes for it.
std::vector<HostAnswer> AskHosts(const std::vector<Host>& hosts,
                                 absl::Duration patience,
                                 const std::set<std::string>& not_awaited);

// Finds the primary among several hosts: not the first that takes writes, for a
// primary that was replaced does so, too, but the one on the highest timeline.
// Thread-safe.
class Survey {
 public:
  // The host to connect to. Tells `cluster` what it saw, of standbys too, and
  // refuses with its errors; with DATABASE_READ_ONLY where there are only
  // standbys; UNAVAILABLE without a reason where nobody answers. Who comes
  // while another thread finds gets that one's answer. Takes up to two seconds,
  // but does not wait for hosts that were silent the last time.
  absl::StatusOr<Host> FindPrimary(const std::vector<Host>& hosts,
                                   KnownCluster& cluster);

  // Tells `cluster` how things are with all of them, silent ones too, each of
  // which may take a second. For who asks again and again.
  void Look(const std::vector<Host>& hosts, KnownCluster& cluster);

 private:
  void NoteSilent(const std::vector<Host>& hosts,
                  const std::vector<HostAnswer>& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  base::Mutex mutex_;
  base::CondVar changed_;
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t surveys_ ABSL_GUARDED_BY(mutex_) = 0;  // that ended
  const KnownCluster* asked_ ABSL_GUARDED_BY(mutex_) = nullptr;
  absl::StatusOr<Host> found_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> silent_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_SURVEY_H_
