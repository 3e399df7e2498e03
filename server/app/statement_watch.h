#ifndef USERPROFILE_SERVER_APP_STATEMENT_WATCH_H_
#define USERPROFILE_SERVER_APP_STATEMENT_WATCH_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/mutex.h"
#include "base/periodic_thread.h"
#include "base/steady_time.h"
#include "server/postgres/database.h"
#include "server/postgres/server_identity.h"
#include "server/postgres/session.h"

namespace userprofile::app {

struct StatementWatchOptions {
  // A statement that has no answer for so long is looked after, and it is said
  // what it waits for: then, and each time when so much more has passed.
  absl::Duration look_after = absl::Seconds(10);

  // How long PostgreSQL may not answer the looking after, either.
  absl::Duration silence = absl::Seconds(15);

  // How long a statement may be seen to wait for a synchronous standby.
  absl::Duration standby = absl::Seconds(60);

  // How often it is looked.
  absl::Duration interval = absl::Seconds(1);
};

// Sessions for a command. Its statements may take hours, to build an index say,
// or to wait for those who use the table: so no time ends them. But a command
// does not wait for a PostgreSQL that answers nobody, nor for a standby that is
// gone: a thread and a session beside it look after a statement that takes
// long, say in the log what it waits for, and if it waits in vain break all
// sessions of the database off, for good. What the command does then fails
// with UNAVAILABLE, in words for the person at the terminal. Thread-safe.
class StatementWatch {
 public:
  // `database` must outlive the watch, and its sessions must not.
  explicit StatementWatch(postgres::Database& database,
                          StatementWatchOptions options = {});

  // The database's, looked after. To be used while this lives.
  postgres::SessionFactory Sessions();

 private:
  class Watched;
  struct Running {
    std::int64_t number;
    postgres::ServerIdentity backend;  // nobody while it is connected to
    base::SteadyTime since;
  };

  absl::StatusOr<std::unique_ptr<postgres::Session>> Connect();

  // Calls `statement`, which `backend` carries out, and returns its outcome, or
  // why it was broken off.
  template <typename Statement>
  auto Watch(const postgres::ServerIdentity& backend, Statement statement)
      -> decltype(statement());

  void Look();

  // What the statement waits for, in a word: "SyncRep", "locks held by ...", or
  // nothing; nullopt if PostgreSQL does not know its backend. An error is an
  // answer if it comes at once.
  absl::StatusOr<absl::optional<std::string>> Ask(const Running& running);

  // Says what is waited for, if it is time to.
  void Tell(const std::string& what, base::SteadyTime now);

  void BreakOff(absl::Status why);

  postgres::Database& database_;
  const StatementWatchOptions options_;

  // Only the thread uses these.
  std::unique_ptr<postgres::Session> session_;
  absl::optional<base::SteadyTime> silent_since_;
  absl::optional<base::SteadyTime> stalled_since_;
  absl::optional<base::SteadyTime> told_;
  std::int64_t missed_ = 0;  // the statement whose backend was not known

  base::Mutex mutex_;
  std::map<std::int64_t, Running> running_ ABSL_GUARDED_BY(mutex_);
  std::int64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status broken_off_ ABSL_GUARDED_BY(mutex_);  // why; OK if they are not

  base::PeriodicThread thread_;  // last: starts when all else is made
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_STATEMENT_WATCH_H_
