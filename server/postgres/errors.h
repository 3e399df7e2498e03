#ifndef USERPROFILE_SERVER_POSTGRES_ERRORS_H_
#define USERPROFILE_SERVER_POSTGRES_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace userprofile::postgres {

// What PostgreSQL says to a write where there can be none: on a standby, or
// where read-only was set.
inline constexpr char kReadOnly[] = "25006";

// The status for an error that PostgreSQL reported with this SQLSTATE
// (https://www.postgresql.org/docs/current/errcodes-appendix.html); the codes
// are those that Session documents. `message` is the server's, in terse form.
absl::Status ErrorFromSqlState(absl::string_view sqlstate,
                               absl::string_view message);

// The status for a connection that is lost or can't be made.
absl::Status ConnectionLost(absl::string_view message);

// The same for a statement whose connection was lost before it was sent.
absl::Status NotSent(absl::string_view message);

// Whether a statement with this outcome may have taken effect: its connection
// was lost after it was sent. A PostgreSQL that still says what is wrong has
// undone it.
bool MayHaveTakenEffect(const absl::Status& status);

// The SQLSTATE behind a status; empty if it has none.
std::string SqlState(const absl::Status& status);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_ERRORS_H_
