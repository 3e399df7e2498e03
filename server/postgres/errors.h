#ifndef USERPROFILE_SERVER_POSTGRES_ERRORS_H_
#define USERPROFILE_SERVER_POSTGRES_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace userprofile::postgres {

// The setting that Connect makes `on`. Statements read it as boolean, so that
// they fail in a session that is another's.
inline constexpr char kServingSetting[] = "userprofile.serving";

// The SQLSTATE of who may not do something.
inline constexpr char kInsufficientPrivilege[] = "42501";

// The status for an error that PostgreSQL reported with this SQLSTATE
// (https://www.postgresql.org/docs/current/errcodes-appendix.html); the codes
// are those that Session documents. `message` is the server's, in terse form.
// What a read-only server says is as ReadOnly has it, and what a statement says
// that could not read kServingSetting as PoolerUnsupported has it.
absl::Status ErrorFromSqlState(absl::string_view sqlstate,
                               absl::string_view message);

// The status for a connection that is lost or can't be made.
absl::Status ConnectionLost(absl::string_view message);

// The same for a statement whose connection was lost before it was sent.
absl::Status NotSent(absl::string_view message);

// The status for a server that takes no writes, DATABASE_READ_ONLY: a standby,
// or one that was told so.
absl::Status ReadOnly(absl::string_view host);

// The status for a pooler that gives each transaction another session,
// POOLER_UNSUPPORTED, with the SQLSTATE that shows it, or none.
absl::Status PoolerUnsupported(absl::string_view sqlstate);

// Whether a statement with this outcome may have taken effect: its connection
// was lost after it was sent. A PostgreSQL that still says what is wrong has
// undone it.
bool MayHaveTakenEffect(const absl::Status& status);

// The SQLSTATE behind a status; empty if it has none.
std::string SqlState(const absl::Status& status);

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_ERRORS_H_
