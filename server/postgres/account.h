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

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_ACCOUNT_H_
