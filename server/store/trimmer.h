#ifndef USERPROFILE_SERVER_STORE_TRIMMER_H_
#define USERPROFILE_SERVER_STORE_TRIMMER_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/periodic_thread.h"
#include "server/postgres/session.h"

namespace userprofile::store {

// What of the table of changes is kept: a watch that was away for longer has to
// begin anew. Of sessions, those that have not expired.
struct TrimmerOptions {
  // Not what is older; nor, whatever its age, more than so many.
  absl::Duration kept_for = absl::Hours(7 * 24);
  std::int64_t kept = 1'000'000;

  // The pause between two looks.
  absl::Duration interval = absl::Minutes(1);

  // Whether the schema is known to be right: what hangs on a table that others
  // planted would run with the rights of the server.
  std::function<bool()> may_write = [] { return true; };
  std::function<bool()> may_use_sessions = [] { return true; };
};

// Deletes old changes and expired sessions, again and again, by a thread and a
// session of its own: a thousand at a time, which holds nobody up. The newest
// change stays in any case, for a watch to go on from. Several servers may do
// so at once. Thread-safe.
class Trimmer {
 public:
  explicit Trimmer(postgres::SessionFactory connect,
                   TrimmerOptions options = {});

  // Ends the thread; waits for a statement that is under way.
  void Stop() { thread_.Stop(); }

 private:
  absl::Status Trim();
  absl::Status TrimChanges(postgres::Session& session);
  absl::Status TrimSessions(postgres::Session& session);

  using Key = postgres::Parameters;  // of a change: what it is found by

  // The newest change that is one too many; NULLs if none is. It takes a
  // statement for each so many that stay.
  absl::StatusOr<Key> FindSurplus(postgres::Session& session);

  const postgres::SessionFactory connect_;
  const TrimmerOptions options_;
  base::PeriodicThread thread_;  // last: uses the members above
};

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_TRIMMER_H_
