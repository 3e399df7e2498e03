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
// no functions that could fail; where the role may do more than the owner of
// users, with whose triggers it would lend its rights; nor to a pooler's or a
// transaction's session: it begins one.
//
// What remains of it are gaps in sequences that defaults draw from, and what a
// function does outside the database. Waits for locks 200 ms at most, and two
// seconds for all else. For commands and the start of a server, not for ever.
absl::optional<Breach> TryToWrite(postgres::Session& session,
                                  const Report& report);

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_WRITE_TRIAL_H_
