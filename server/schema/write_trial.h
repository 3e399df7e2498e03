#ifndef USERPROFILE_SERVER_SCHEMA_WRITE_TRIAL_H_
#define USERPROFILE_SERVER_SCHEMA_WRITE_TRIAL_H_

#include "absl/types/optional.h"
#include "server/postgres/session.h"
#include "server/schema/report.h"

namespace userprofile::schema {

// Whether a write finds all that it calls, found out by one that is taken back:
// a user of a number that no user can have is created and changed, in every
// column of the contract. For triggers whose function builds its SQL as it
// runs, uses an operator of others, or calls a function that does; their text
// does not show what they look for on the search path.
//
// Returns a breach if PostgreSQL did not find something. Whatever else it says
// is no breach of this kind: a row like that one may break others' constraints.
// Writes nothing where `report`, which must be fresh, has a blocking breach or
// no functions that could fail; nor to a pooler's or a transaction's session:
// it begins one; nor where the role may do more than the owner of users, to
// whose triggers it would lend its rights. That is one that is a member of the
// owner, has an attribute of its own (such as CREATEROLE), or is a member of a
// role of PostgreSQL's (such as pg_write_all_data) other than
// pg_read_all_stats, and is not the owner itself. No role may do more than a
// superuser.
//
// What remains of it are gaps in sequences that defaults draw from, and what a
// function does outside the database. Waits for locks 200 ms at most, and two
// seconds for all else. For commands and the start of a server, not for ever.
absl::optional<Breach> TryToWrite(postgres::Session& session,
                                  const Report& report);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_WRITE_TRIAL_H_
