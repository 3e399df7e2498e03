#ifndef USERPROFILE_SERVER_SCHEMA_DDL_H_
#define USERPROFILE_SERVER_SCHEMA_DDL_H_

#include <functional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/postgres/session.h"

namespace userprofile::schema {

// What all that changes the schema has in common: one at a time, and never in
// the way of the traffic for long.

// Reason of LockSchema's errors.
inline constexpr char kMigratorBusy[] = "MIGRATOR_BUSY";

struct DdlOptions {
  // How long to wait for another migrator or repair to finish, and how often to
  // ask.
  absl::Duration migrator_wait = absl::Minutes(5);
  absl::Duration migrator_poll = absl::Milliseconds(200);

  // How long a statement waits for a lock. While it waits, it holds up all
  // traffic on the table behind it: so rather short, and many attempts, with
  // pauses in which that traffic goes on.
  absl::Duration lock_timeout = absl::Milliseconds(200);
  // The pause doubles up to the longest one; each is give or take half of it,
  // at random. In all, that is about ten minutes.
  int attempts = 120;
  absl::Duration attempt_pause = absl::Milliseconds(500);
  absl::Duration longest_pause = absl::Seconds(5);

  // Asked now and then, from any thread, while waiting for a migrator, a lock
  // or an index: whether to give up.
  std::function<bool()> give_up = [] { return false; };
};

// Whether a statement failed because others held what it wanted.
bool IsForLock(const absl::Status& status);

// Whether a statement failed because of what the table, its objects or its
// rights are: it would fail again. Else that passes, or is no error of SQL.
bool IsOfTable(const absl::Status& status);

// What PostgreSQL said of a failed statement, without what the layers below put
// before it.
std::string ServersWords(const absl::Status& status);

// Makes this the only one who changes the schema, for as long as `session`
// lives; should this machine vanish, the server soon lets go of the lock. Best
// the session that does the work: with the lock, which goes with the
// connection, the work is lost as well. DEADLINE_EXCEEDED with the reason
// MIGRATOR_BUSY if another one does not finish; CANCELLED as give_up asked.
absl::Status LockSchema(postgres::Session& session, const DdlOptions& options);

// Runs `body` in a transaction whose statements wait for locks as the options
// say, and for nothing else; again from its start, after a pause, where a lock
// was not to be had. `label` says in the log what waits. ABORTED when the
// attempts are used up; CANCELLED as give_up asked, with nothing half done.
absl::Status InDdlTransaction(postgres::Session& session,
                              const DdlOptions& options,
                              absl::string_view label,
                              absl::FunctionRef<absl::Status()> body);

// Runs `sql`, one UPDATE of the users with user_id > $1::bigint AND user_id <=
// $2::bigint, for all that are there when their turn comes, by ascending
// user_id, and rests after each batch for as long as it took. Logs every few
// seconds how far it is. Keeps no position: `sql` writes only rows that lack
// something, and a run after a kill writes what is left.
absl::Status InBatches(postgres::Session& session, const DdlOptions& options,
                       const std::string& sql, absl::string_view label,
                       int batch_rows = 1000);

// Runs CREATE or DROP INDEX CONCURRENTLY, which stops no traffic but waits for
// every transaction that began before it, however long that takes; CANCELLED as
// give_up asked. A session of `connect` watches it, and logs every few seconds
// how far a build has come. What fails, is cancelled or killed leaves an
// invalid index behind, for the caller or the next run to drop.
absl::Status RunConcurrently(postgres::Session& session,
                             const postgres::SessionFactory& connect,
                             const DdlOptions& options, const std::string& sql,
                             absl::string_view label);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_DDL_H_
