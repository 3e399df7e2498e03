#ifndef USERPROFILE_SERVER_POSTGRES_CONNINFO_H_
#define USERPROFILE_SERVER_POSTGRES_CONNINFO_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace userprofile::postgres {

// Whether libpq can read a connection string: INVALID_ARGUMENT if not, with
// what is wrong with it, as far as that can't be a part of a password, and what
// to write instead.
absl::Status CheckConninfo(const std::string& conninfo);

// Gives a connection string, a URL or "key=value ..." words, the settings that
// it lacks, and returns it as words. CheckConninfo's errors.
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
absl::StatusOr<std::string> WithDefaults(
    const std::string& conninfo,
    const std::vector<std::pair<std::string, std::string>>& defaults);

// One of the hosts that a connection string names.
struct Host {
  std::string name;      // "HOST:PORT", for people
  std::string conninfo;  // leads there alone, be it primary or standby
};

// The hosts in their order, at least one, their lists of names, addresses and
// ports taken apart as libpq does. CheckConninfo's errors; INVALID_ARGUMENT,
// too, for lists that don't go together.
absl::StatusOr<std::vector<Host>> HostsOf(const std::string& conninfo);

// The connection string as words, for people to see: without its passwords, or
// with none of it if libpq can't read it.
std::string Masked(const std::string& conninfo);

// How to give a connection string to one of PostgreSQL's programs without
// showing its password to all who can list processes. Of several hosts it finds
// the first that takes writes.
struct ProgramConnection {
  std::string conninfo;  // for --dbname
  // For Command: the password, and what libpq reads from our environment.
  std::vector<std::string> environment;
};

// CheckConninfo's errors; INVALID_ARGUMENT, too, for a sslpassword, which can't
// be given any other way.
absl::StatusOr<ProgramConnection> ForProgram(const std::string& conninfo);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_CONNINFO_H_
