#ifndef USERPROFILE_SERVER_SCHEMA_BACKUP_H_
#define USERPROFILE_SERVER_SCHEMA_BACKUP_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// A backup is an archive of pg_dump's custom format, of the tables users and
// userprofile_migrations at one moment, with all of their columns and indexes.
// Rights and owners are the database's, not the backup's, and so are triggers,
// views and foreign keys: what they refer to is not in it.
//
// Both functions run PostgreSQL's own programs of the server's version
// (postgres::FindClientPrograms). `conninfo` is where `connect` connects to.
// Its password is on no command line. No error quotes a value of a row.

// Writes a backup to `file`, which must not exist: under another name first,
// and renamed once it is complete and on disk. Only its owner can read it. Does
// not stand in the way of reads and writes. FAILED_PRECONDITION with what to do
// if the file can't be written, users does not hold its rows itself (a view, a
// partitioned table), the programs are missing or too old, or pg_dump fails;
// there is no `file` then.
absl::Status CreateBackup(const postgres::SessionFactory& connect,
                          const std::string& conninfo, const std::string& file);

struct RestoreOptions {
  // Take the place of a table that holds users. It is not dropped, but moved to
  // a schema of its own.
  bool replace = false;
};

struct RestoreResult {
  // Where the tables are that were here before; empty if they held no user.
  std::string moved_to;

  // What of the archive was left out, such as "TRIGGER users log_users".
  std::vector<std::string> left_out;

  Report report;  // of the restored table
};

// Puts the tables of a backup in place, in one transaction: all of it, or
// nothing. It may be serving meanwhile; whoever reads waits, and sees either
// the old table or the new one. An empty users table gives way; one with users
// does so only with options.replace.
//
// FAILED_PRECONDITION, with nothing changed: `file` can't be read, is cut off
// or is no backup of this service; the target holds users; its schema is
// missing; PostgreSQL refuses what is in it. Also the errors of LockSchema, for
// neither a migration nor a repair may run meanwhile.
absl::StatusOr<RestoreResult> RestoreBackup(
    const postgres::SessionFactory& connect, const std::string& conninfo,
    const std::string& file, const RestoreOptions& options);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_BACKUP_H_
