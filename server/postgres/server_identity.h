#ifndef USERPROFILE_SERVER_POSTGRES_SERVER_IDENTITY_H_
#define USERPROFILE_SERVER_POSTGRES_SERVER_IDENTITY_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/postgres/session.h"

namespace userprofile::postgres {

// What a server says of itself, and of the process that says it.
struct ServerIdentity {
  // Of the cluster: the same for a primary and its standbys, another one after
  // each initdb. Empty where the role may not know.
  std::string system_identifier;

  // Higher after each promotion. A standby knows the one that it follows, as
  // far as it got. 0 where that can't be told.
  std::uint32_t timeline = 0;

  bool takes_writes = false;

  // The backend of the session that asked: its process id, and when it began,
  // for ids come again.
  std::string pid;
  std::string started;
};

// SQL that asks for it. The first is refused (SQLSTATE 42501) where functions
// that tell of the cluster were taken from everybody; the second asks for less.
// The columns are the members in their order, the timeline in hexadecimal, and
// transaction_read_only for `takes_writes`.
inline constexpr int kIdentityForms = 2;
extern const char* const kIdentitySql[kIdentityForms];

// What the first three columns say.
ServerIdentity IdentityOf(absl::string_view system_identifier,
                          absl::string_view timeline,
                          absl::string_view read_only);

// The server of a session. The errors of Session.
absl::StatusOr<ServerIdentity> AskIdentity(Session& session);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_SERVER_IDENTITY_H_
