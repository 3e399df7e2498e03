#ifndef USERPROFILE_SERVER_POSTGRES_ACCOUNT_H_
#define USERPROFILE_SERVER_POSTGRES_ACCOUNT_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace userprofile::postgres {

// The user that PostgreSQL's programs run as, and who owns its files.
// PostgreSQL refuses to run as root.
struct Account {
  uid_t uid;
  gid_t gid;
  std::string name;

  // Whether it is another user than we are, which needs root.
  bool foreign;
};

// The account for the data of `directory` (which need not exist): our own,
// unless we are root. Root gives way to the owner of the database in there, to
// the owner of the directory, to the user `postgres`, or else to `nobody`.
absl::StatusOr<Account> AccountFor(const std::string& directory);

// Makes a folder with this mode for the account. An existing one is an error.
absl::Status MakeFolder(const std::string& path, mode_t mode,
                        const Account& account);

// Opens a file that a folder of ours keeps, to read and write, with the `flags`
// of open(2) besides; makes it, for us alone, if it is missing. Never what
// somebody else may have put there: FAILED_PRECONDITION for a link, also a hard
// one, for what is no regular file, and for a file of another user than us, the
// folder's owner, or `account`, to whom we may have given it.
absl::StatusOr<int> OpenOwnFile(const std::string& path, int flags = 0,
                                const Account* account = nullptr);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_ACCOUNT_H_
