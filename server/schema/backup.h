#ifndef USERPROFILE_SERVER_SCHEMA_BACKUP_H_
#define USERPROFILE_SERVER_SCHEMA_BACKUP_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// A backup is an archive of pg_dump's custom format, of the tables users and
// userprofile_migrations at one moment, with all of their columns and indexes.
// Who may do what is the database's, not the backup's: owners, rights and row
// security. So are triggers, rules, views, publications and foreign keys: what
// they refer to is not in it.
//
// Both functions run PostgreSQL's own programs of the server's version
// (postgres::FindClientPrograms). `conninfo` is where `connect` connects to.
// Its password is on no command line. No error quotes a value of a row.

// Writes a backup to `file`, which must not exist: under another name first,
// and renamed once it is complete and on disk, and users with its rows was
// found in it. Only its owner can read it. Does not stand in the way of reads
// and writes. ALREADY_EXISTS if something has the name. FAILED_PRECONDITION
// with what to do if the file can't be written, users does not hold its rows
// itself (a view, a partitioned table) or belongs to an extension, the programs
// are missing or too old, or pg_dump fails; there is no `file` then.
absl::Status CreateBackup(const postgres::SessionFactory& connect,
                          const std::string& conninfo, const std::string& file);

// Writes one into a folder, under a name that says `time` and that no other
// file has: users-20260102T030405Z.dump, or users-20260102T030405Z-2.dump.
// Returns its path. Errors are those of CreateBackup.
absl::StatusOr<std::string> CreateBackupIn(
    const postgres::SessionFactory& connect, const std::string& conninfo,
    const std::string& folder, absl::Time time);

struct RestoreOptions {
  // Take the place of a table that holds users. It is not dropped, but moved to
  // a schema of its own.
  bool replace = false;
};

struct RestoreResult {
  // Where the tables are that were here before; empty if they held no user.
  std::string moved_to;

  // What is not on the restored table: of the archive ("TRIGGER public users
  // log_users"), and of the table that gave way ("trigger log_users on table
  // public.users").
  std::vector<std::string> left_out;

  Report report;  // of the restored table
};

// Puts the tables of a backup in place, in one transaction: all of it, or
// nothing. It may be serving meanwhile; whoever reads waits, and sees either
// the old table or the new one. An empty users table gives way; one with users
// does so only with options.replace. The owner, the rights on the table, its
// columns and sequences with their grant options (all granted by the owner) and
// row security are those of the table that gave way. The key of tokens, which
// no backup has, stays as it is, or is made.
//
// FAILED_PRECONDITION, with nothing changed: `file` can't be read, is cut off
// or is no backup of this service; the target holds users; its schema is
// missing; PostgreSQL refuses what is in it. Also the errors of LockSchema, for
// neither a migration nor a repair may run meanwhile, and of CheckOwner, for
// the owner of the table that gives way would own the users.
absl::StatusOr<RestoreResult> RestoreBackup(
    const postgres::SessionFactory& connect, const std::string& conninfo,
    const std::string& file, const RestoreOptions& options);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_BACKUP_H_
