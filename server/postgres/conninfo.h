#ifndef USERPROFILE_SERVER_POSTGRES_CONNINFO_H_
#define USERPROFILE_SERVER_POSTGRES_CONNINFO_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace userprofile::postgres {

// Gives a connection string, a URL or "key=value ..." words, the settings that
// it lacks, and returns it as words. INVALID_ARGUMENT if libpq can't read it;
// the message quotes nothing of it, for there may be a password in it.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
absl::StatusOr<std::string> WithDefaults(
    const std::string& conninfo,
    const std::vector<std::pair<std::string, std::string>>& defaults);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_CONNINFO_H_
