#ifndef USERPROFILE_SERVER_STORE_STATEMENTS_H_
#define USERPROFILE_SERVER_STORE_STATEMENTS_H_

#include "server/postgres/session.h"

namespace userprofile::store {

// Every statement of the store. All return the columns of profile_rows.h, are
// keyed by user_id, and take times as parameters: distributed PostgreSQLs
// refuse now() inside DO UPDATE.

// $1 user ids (bigint[]). Unknown ones are missing from the result, which has
// no order.
extern const postgres::Statement kGetProfiles;

// One row per contact, all of different users, as arrays of equal length:
// $1 user ids, $2 usernames, $3 first names, $4 last names, $5 language codes,
// $6 is_active, $7 event times (seconds since 1970); then $8 the time now, and
// $9 to $12 what a NULL in $2 to $5 means for a known user: true clears the
// column, false keeps it. Rows are written in key order, so that two batches
// can't deadlock. The result has no order.
extern const postgres::Statement kUpsertUsers;

// The same, but leaves a row as it is, and returns it so, if neither identity
// nor is_active would change, and both its times are less than $13 (interval)
// behind the contact's. A row that is at its first revision is written: only
// the contact that created it gets to see that one. What somebody else commits
// meanwhile does no harm: a row that was not seen is written, whatever it has
// become, and one that was seen is an answer as a read gives it.
extern const postgres::Statement kUpsertChangedUsers;

// One row of answers per user, all different, as arrays of equal length: $1
// user ids, $2 real names, $3 nicknames, $4 study tracks, $5 grade bands, $6
// grade years, $7 phones; then $8 the time now. A NULL keeps what is stored.
// Rows are locked in key order, so that neither two batches nor one and a batch
// of contacts can deadlock. Returns each user that is known, one more column
// says whether this statement has completed the onboarding, and has no order.
extern const postgres::Statement kCompleteOnboarding;

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_STATEMENTS_H_
