#ifndef USERPROFILE_SERVER_POSTGRES_BINARIES_H_
#define USERPROFILE_SERVER_POSTGRES_BINARIES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"

namespace userprofile::postgres {

// The oldest PostgreSQL that is supported.
inline constexpr int kOldestMajorVersion = 13;

// The installed programs of one PostgreSQL version.
struct Binaries {
  std::string folder;  // holds `postgres` and `initdb`
  int major_version;
};

// Finds PostgreSQL's programs: those of exactly `major_version` if given, else
// any from kOldestMajorVersion on. Looks at $USERPROFILE_POSTGRES_BIN and, if
// that is not set, at $PATH and Debian's /usr/lib/postgresql/N/bin, newest
// first. FAILED_PRECONDITION names the package to install.
absl::StatusOr<Binaries> FindBinaries(absl::optional<int> major_version);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_BINARIES_H_
