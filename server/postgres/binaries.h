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
  std::string folder;
  int major_version;
};

// Finds PostgreSQL's programs: those of exactly `major_version` if given, else
// any from kOldestMajorVersion on. Looks at $USERPROFILE_POSTGRES_BIN and, if
// that is not set, at $PATH and Debian's /usr/lib/postgresql/N/bin, newest
// first. FAILED_PRECONDITION names the package to install; another error says
// why none of those that are there can be run.
absl::StatusOr<Binaries> FindBinaries(absl::optional<int> major_version);

// Finds pg_dump, pg_restore and psql for a server of `major_version`: of that
// version, or else of the next newer one, for older ones can't read it. Looks
// where FindBinaries does, at $PATH last: Debian's programs there stand in for
// any version. FAILED_PRECONDITION names the package to install.
absl::StatusOr<Binaries> FindClientPrograms(int major_version);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_BINARIES_H_
