#ifndef USERPROFILE_SERVER_POSTGRES_DATA_DIRECTORY_H_
#define USERPROFILE_SERVER_POSTGRES_DATA_DIRECTORY_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/file_lock.h"
#include "server/postgres/binaries.h"
#include "server/postgres/process.h"

namespace userprofile::postgres {

// The superuser of an embedded cluster, and its database.
inline constexpr char kEmbeddedUser[] = "userprofile";
inline constexpr char kEmbeddedDatabase[] = "userprofile";

// Who holds the directory of an embedded cluster.
enum class DirectoryHolder {
  kNobody,
  kServer,   // for as long as it serves
  kCommand,  // until it is done: worth waiting for
};

// Holds a directory for this process by the file `lock` in it, which has our
// process id for people to read. FAILED_PRECONDITION if another one holds it.
absl::StatusOr<std::unique_ptr<base::FileLock>> HoldDirectory(
    const std::string& directory, DirectoryHolder as);

// Who holds it now.
DirectoryHolder HolderOf(const std::string& directory);

// What follows is about the part of the directory that PostgreSQL owns, the
// folder `data` in it. It wants the directory to be held, and no server of ours
// to run in it.

std::string DataFolder(const std::string& directory);

// Makes the folder with initdb, unless it is there: UTF-8, C locale, no
// passwords (the socket's folder is private). It appears whole or not at all,
// and is on disk, unless `durable` is false. Returns the programs that the data
// is for.
absl::StatusOr<Binaries> PrepareData(const std::string& directory,
                                     const Account& account, bool durable);

// Stops the PostgreSQL that a killed server may have left running on the data,
// and clears a mark of one that is gone. Touches no process that is not the
// PostgreSQL of this folder. DEADLINE_EXCEEDED if it does not end;
// FAILED_PRECONDITION if the data is that of somebody else's PostgreSQL.
absl::Status StopOrphan(const std::string& directory, absl::Duration timeout);

// What the PostgreSQL that runs as `postmaster` says of itself: "starting",
// "ready" (connections are accepted), or "stopping"; empty if nothing yet.
std::string StatusOf(const std::string& directory, pid_t postmaster);

// The folder of the socket of the PostgreSQL that runs on the data, or did when
// it was killed; empty if there is none.
std::string SocketFolderOf(const std::string& directory);

// The private folder of a server's Unix socket. It is not in the data
// directory, for the path of a socket can't be longer than 107 bytes: it is in
// $XDG_RUNTIME_DIR or /run/userprofile, where that is the account's alone and
// the path not too long, else in /tmp. Only `account` and root can enter it,
// which is all the authentication that the server needs. Removed, with what is
// in it, when its lock is let go.
struct SocketFolder {
  std::string path;
  std::unique_ptr<base::FileLock> lock;
};

// Makes the folder: the same one each time, unless somebody else took its name.
// Removes those of the account that killed servers left behind.
absl::StatusOr<SocketFolder> MakeSocketFolder(const std::string& directory,
                                              const Account& account);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_DATA_DIRECTORY_H_
