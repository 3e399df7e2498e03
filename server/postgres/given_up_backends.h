#ifndef USERPROFILE_SERVER_POSTGRES_GIVEN_UP_BACKENDS_H_
#define USERPROFILE_SERVER_POSTGRES_GIVEN_UP_BACKENDS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "server/postgres/server_identity.h"
#include "server/postgres/session.h"

namespace userprofile::postgres {

// PostgreSQL's processes whose connections were given up, for want of an
// answer. One that waits for the synchronous standby does not notice: it stays,
// and counts against max_connections, until the standby is back. So that they
// don't use up the database, no new session is made while there are too many.
// Thread-safe.
class GivenUpBackends {
 public:
  // Nothing is known of one that was given up before it said who it is.
  void Add(const ServerIdentity& backend);

  // Asks over `session` which of them are still there, and forgets the others.
  // UNAVAILABLE if more than `most` are, REPLICATION_STALLED if one of these
  // waits for the standby. The errors of Session. Asks nothing where none was
  // given up.
  absl::Status Check(Session& session, std::size_t most);

 private:
  struct Backend {
    std::string pid;
    std::string started;
    bool operator==(const Backend& other) const {
      return pid == other.pid && started == other.started;
    }
  };

  base::Mutex mutex_;
  std::vector<Backend> backends_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_GIVEN_UP_BACKENDS_H_
