#ifndef USERPROFILE_SERVER_STORE_STATEMENTS_H_
#define USERPROFILE_SERVER_STORE_STATEMENTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "server/postgres/session.h"

namespace userprofile::store {

// Every statement of the store, built at the start from the table of columns.
// Unless they say what they return, it is every column for ReadProfile. They
// are keyed by user_id or what FindBy says, and take the times that they store
// as parameters.

// $1 user ids (bigint[]). Unknown ones are missing from the result, which has
// no order.
extern const postgres::Statement kGetProfiles;

// Look-ups by a column: $1 values (text[]). For each, the users who have it,
// who was heard of last first, at most $2 of them; one more column holds the
// value's place in the array, from 1 on. Both in that order.
const postgres::Statement& FindBy(absl::string_view column);

// What contacts do to users that are known, and to those that are not. One row
// per contact, in the order of their users, all different, as arrays of equal
// length: $1 user ids, from $2 on one for each identity column, is_active,
// event times (seconds since 1970, NULL for none); then the time now. In
// identity and is_active, NULL keeps what is stored, and an empty text clears
// it.
//
// Each writes rows in the order of its contacts, and there are two: so no two
// of them can deadlock, as one could that wrote known users and then new ones,
// and what others do as a row is inserted (triggers, sequences, constraints) is
// done for new users only. The results hold the rows that were written, in any
// order. kInsertUsers leaves those alone that there are, and so each row that
// it returns is a user that it created.
//
// An event time is bounded by the database's clock (statement_timestamp): one
// that is more than five minutes ahead of it is taken for none, and one so
// stored by mistake is replaced.
extern const postgres::Statement kUpdateUsers;
extern const postgres::Statement kInsertUsers;

// As kUpdateUsers, but leaves a row as it is, and returns it so, if neither
// identity nor is_active would change, and both its times are less than the
// last parameter (an interval) behind the contact's. A row that is at its first
// revision is written: only the contact that created it gets to see that one.
// What somebody else commits meanwhile does no harm: one that was seen is an
// answer as a read gives it.
extern const postgres::Statement kUpdateChangedUsers;

// What edits do. One row per user, all different, as arrays of equal length: $1
// user ids, from $2 on one for each answer, what onboarding_completed becomes,
// the revision that is expected, attributes (jsonb[]) and whether they replace
// those that are stored; then the time now. A NULL keeps what is stored, or
// expects nothing; an empty answer clears it, and so does an attribute that is
// null. Rows are locked in key order, so that neither two batches nor one and a
// batch of contacts can deadlock. Returns each user that is known, with one
// more column, and has no order: 'written', or why the row was left as it is:
// it has another 'revision', is 'onboarded' and was to become so, would get
// attributes that are 'too large', would be the 'same', or somebody's trigger
// did not let it 'change'.
extern const postgres::Statement kEditUsers;

// $1 user ids: the user id and, as text, created_at of those who are known.
extern const postgres::Statement kReadLives;

// Deletes users, all different, as arrays of equal length: $1 user ids, $2 the
// created_at that they have to have, $3 the revision that is expected, or NULL;
// and their sessions. Rows are locked in key order. Returns the user id, the
// revision, and whether it was deleted, of each row with that created_at that
// was there.
extern const postgres::Statement kDeleteUsers;

// Whether the role may delete from users: one row.
extern const postgres::Statement kMayDelete;

// Each statement that writes users tells of those whose data it changed in the
// table of changes. What comes after the row that has the key $1 (xid8), $2
// (user id), $17 (revision) and is the ChangePlace $18: the next $19 changes at
// most, in their order. In each row there are a profile, if the user is there
// now; the user id of the change, its place, whether it is a deletion; whether
// it is not to be told: it is of nobody, or the user was deleted later, which
// will be, or it is a contact that changed nothing, unless $20 asks for those;
// and whether the filter $3 to $16 lets the user pass. One row without a user
// id if there is no change, and none if that place is not there. For sessions
// with ChangesSettings, as the next one.
extern const postgres::Statement kReadChanges;

// The place of the newest change that is settled, NULL if there is none; and
// for how many seconds the oldest has waited that is not settled.
extern const postgres::Statement kFindNewestChange;

// The key (as above) of the change that is $4 changes older than the one with
// the key $1 to $3, or than the newest before it; no row if there is none.
extern const postgres::Statement kFindSurplus;

// Deletes of the $8 changes after the key $5 to $7 those older than $1 (an
// interval), and those up to the key $2 to $4, be it NULL; but nothing that is
// newer than one that stays, and not the newest that is settled. Returns the
// key to go on after; no row if nothing more is to be deleted.
extern const postgres::Statement kTrimChanges;

// Deletes at most $1 changes that another cluster's transactions made, as a
// copy of the table brings them along, and makes the first of this one where
// there is none. Returns how many it deleted.
extern const postgres::Statement kDiscardChanges;

// Of users ($1) who are given nicknames ($2), the ids of those who have one
// already, and then true, and of those who would have another user's.
extern const postgres::Statement kFindTakenNicknames;

// Stores users of another system at $1 (timestamptz), whose rows are in arrays,
// one for each of users::Columns(), from $2 on; see ImportUsers. One row: how
// many were inserted, how many changed, and how many were not there: if those
// are more than were inserted, somebody came meanwhile, who is to be tried
// again; and, parted by commas, whose attributes do not fit.
extern const postgres::Statement kImportUsers;

// Sessions, by arrays of equal length: $1 their bots, $2 their keys. Of those
// that are there and have not expired: both, the value in hexadecimal, the
// revision, updated_at and expires_at (seconds since 1970), the user id.
extern const postgres::Statement kGetSessions;

// What is stored in sessions, all different and in the order of their bots and
// keys, byte by byte; so no two statements can deadlock. As kGetSessions, and
// $3 the values in hexadecimal, $4 expires_at, $5 user ids, $6 the revisions
// that are expected, or NULL; $7 the time now. The first writes those that are
// there, and deletes them where the value is NULL. It returns of each, expired
// or not: bot, key, a verdict, the revision that was stored (0: it has
// expired), the one that is now, updated_at as it was, whether the verdict was
// carried out. The verdict is 'write', 'delete', or that it is 'missing' for a
// deletion or has another 'revision'. The second inserts those that are not
// there, and returns bot, key and revision.
extern const postgres::Statement kWriteSessions;
extern const postgres::Statement kInsertSessions;

// Deletes at most $1 sessions that have expired; but none that is held.
extern const postgres::Statement kTrimSessions;

// The names of the unique indexes on nickname alone, be it in an expression.
extern const postgres::Statement kNicknameIndexes;

// What a filter lets pass of the users after $1, of whom it looks at $2 at most
// (NULL: at all). The filter is $3 to $15, in the order of its fields, ranges
// of times as two; NULL asks for nothing. A language ends in "-", in small
// letters. The first returns users in the order of their ids, $16 at most, and
// in one more column the last user that it may look at, NULL if that is the
// last there is; a row of NULLs with that for nobody. The second returns their
// number, and that.
//
// In one statement, so that both are of one moment: who comes later is after
// that user, or is never seen in between.
extern const postgres::Statement kListProfiles;
extern const postgres::Statement kCountProfiles;

// See token_key.h.
extern const postgres::Statement kFindTokenKey;
extern const postgres::Statement kReadTokenKey;

// All of them as they run, each with its name before it.
std::string AllStatements();

}  // namespace userprofile::store

#endif  // USERPROFILE_SERVER_STORE_STATEMENTS_H_
