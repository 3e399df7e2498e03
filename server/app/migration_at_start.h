#ifndef USERPROFILE_SERVER_APP_MIGRATION_AT_START_H_
#define USERPROFILE_SERVER_APP_MIGRATION_AT_START_H_

#include "absl/time/time.h"
#include "base/periodic_thread.h"
#include "server/postgres/session.h"

namespace userprofile::app {

// Migrates the database while the server starts, by a thread of its own: the
// database may be away for a while, others may hold the table, and a migration
// can take long; it goes on trying. A migration that fails for another reason
// is logged; the schema monitor then tells why the service is not ready. At its
// end gives up waiting, and waits for a migration that runs: interrupt its
// sessions to break it off, which the next start makes up for.
class MigrationAtStart {
 public:
  // `new_table`: see schema::MigrateOptions.
  MigrationAtStart(postgres::SessionFactory connect, bool new_table);

  // From now on does not wait for the database, a lock or another migrator; but
  // goes on with a migration that runs.
  void GiveUpWaiting() { thread_.AskToStop(); }

  // Returns once the migration has been done, or has failed, or after a while.
  void WaitFor(absl::Duration patience) { thread_.AwaitEnd(patience); }

 private:
  absl::Duration Run();

  const postgres::SessionFactory connect_;
  const bool new_table_;
  bool logged_ = false;          // only the thread uses it
  base::PeriodicThread thread_;  // last: starts when all else is made
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_MIGRATION_AT_START_H_
