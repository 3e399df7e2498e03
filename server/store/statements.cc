#include "server/store/statements.h"

namespace userprofile::store {

// The columns that every statement returns, in the order of profile_rows.cc.
// Times travel as double precision seconds, which hold microseconds exactly for
// centuries, print fast, and can be infinite; extract() would be numeric
// arithmetic.
#define PROFILE_COLUMNS(t)  \
  TEXT_AND_FLAGS(t)         \
  ", date_part('epoch', " t \
  "created_at)"             \
  ", date_part('epoch', " t \
  "last_seen_at)"           \
  ", date_part('epoch', " t \
  "updated_at)"             \
  ", date_part('epoch', " t "last_activity), " t "revision"

// The same, as they are stored.
#define COLUMNS(t)                                            \
  TEXT_AND_FLAGS(t)                                           \
  ", " t "created_at, " t "last_seen_at, " t "updated_at, " t \
  "last_activity, " t "revision"

#define TEXT_AND_FLAGS(t)                                              \
  t "user_id, " t "username, " t "first_name, " t "last_name, " t      \
    "language_code, " t "onboarding_completed, " t "real_name, " t     \
    "nickname, " t "study_track, " t "grade_band, " t "grade_year, " t \
    "phone, " t "is_active"

// Never 1, whatever somebody stored by hand: 1 is for a row that is created.
#define NEXT_REVISION(t) "greatest(" t "revision, 1) + 1"

// The contacts, in the order in which they were given. A time that is further
// ahead of the database's clock than clocks differ is none. OFFSET keeps this a
// subquery: its expressions are evaluated once for each contact.
#define LATEST "statement_timestamp() + interval '5 minutes'"
#define CONTACTS                                                               \
  "SELECT r.user_id, r.username, r.first_name, r.last_name,"                   \
  " r.language_code, r.is_active, " LATEST                                     \
  " AS latest,"                                                                \
  " CASE WHEN to_timestamp(r.occurred_at) <= " LATEST                          \
  " THEN to_timestamp(r.occurred_at) END AS occurred_at"                       \
  " FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[],"             \
  " $5::text[], $6::boolean[], $7::double precision[])"                        \
  " AS r (user_id, username, first_name, last_name, language_code, is_active," \
  " occurred_at) OFFSET 0"

// The row of a contact's user. `=` would let PostgreSQL join by reading all of
// users in the order of an index, which is cheap for the small table that it
// plans for; this leaves it nothing but a look-up for each contact, in the
// order of the contacts.
#define OF_CONTACT "u.user_id = ANY (ARRAY[c.user_id])"

// A stored time; NULL if it is in the future, and so a mistake.
#define CREDIBLE(column) \
  "CASE WHEN u." column " <= c.latest THEN u." column " END"

// Whether a contact is not older than the newest dated one.
#define IS_NEWS                      \
  "(u.last_activity > c.occurred_at" \
  " AND u.last_activity <= c.latest) IS NOT TRUE"

// A column after a contact with a known user.
#define AFTER(column)                                         \
  column " = CASE WHEN c." column " IS NOT NULL AND " IS_NEWS \
         " THEN nullif(c." column ", '') ELSE u." column " END"

// Whether a contact changes a column of a known user; NULL if it says nothing.
#define CHANGES(column) "c." column " <> coalesce(u." column ", '')"

// Whether it changes what updated_at tells of; NULL or false if not.
#define CHANGES_DATA \
  "(" CHANGES("username") " OR " CHANGES("first_name")   \
  " OR " CHANGES("last_name") " OR " CHANGES("language_code") \
  " OR c.is_active <> coalesce(u.is_active, true)) AND " IS_NEWS

// What a contact does to a known user. is_active was NULL in legacy tables.
#define UPDATE_USERS \
  "UPDATE users AS u SET "                                                   \
  AFTER("username") ", " AFTER("first_name") ", "                            \
  AFTER("last_name") ", " AFTER("language_code") ", "                        \
  "is_active = CASE WHEN c.is_active IS NOT NULL AND " IS_NEWS               \
  " THEN c.is_active ELSE coalesce(u.is_active, true) END,"                  \
  " updated_at = CASE WHEN " CHANGES_DATA                                    \
  " THEN $8::timestamptz AT TIME ZONE 'UTC' ELSE u.updated_at END,"          \
  " last_seen_at = greatest(" CREDIBLE("last_seen_at") ", $8::timestamptz)," \
  " last_activity = CASE WHEN c.occurred_at IS NOT NULL AND " IS_NEWS \
  " THEN c.occurred_at ELSE u.last_activity END," \
  " revision = " NEXT_REVISION("u.")

const postgres::Statement kGetProfiles = {
    "get_profiles",
    "SELECT " PROFILE_COLUMNS("") " FROM users"
    " WHERE user_id = ANY($1::bigint[])"};

const postgres::Statement kUpdateUsers = {
    "update_users", UPDATE_USERS " FROM (" CONTACTS ") AS c WHERE " OF_CONTACT
                                 " RETURNING " PROFILE_COLUMNS("u.")};

const postgres::Statement kUpdateChangedUsers = {
    "update_changed_users",
    "WITH contacts AS MATERIALIZED (" CONTACTS "),"
    " unchanged AS MATERIALIZED (SELECT " COLUMNS("u.")
    " FROM contacts AS c JOIN users AS u ON " OF_CONTACT
    " WHERE u.revision > 1"
    " AND " CREDIBLE("last_seen_at") " > $8::timestamptz - $9::interval"
    " AND (c.occurred_at IS NULL OR "
    CREDIBLE("last_activity") " > c.occurred_at - $9::interval)"
    " AND (" CHANGES_DATA ") IS NOT TRUE),"
    " written AS (" UPDATE_USERS " FROM contacts AS c WHERE " OF_CONTACT
    " AND c.user_id NOT IN (SELECT user_id FROM unchanged)"
    " RETURNING " COLUMNS("u.") ")"
    " SELECT " PROFILE_COLUMNS("") " FROM unchanged UNION ALL"
    " SELECT " PROFILE_COLUMNS("") " FROM written"};

const postgres::Statement kInsertUsers = {
    "insert_users",
    "INSERT INTO users AS u (user_id, username, first_name, last_name,"
    " language_code, is_active, onboarding_completed, created_at,"
    " last_seen_at, updated_at, last_activity, revision)"
    " SELECT c.user_id, nullif(c.username, ''), nullif(c.first_name, ''),"
    " nullif(c.last_name, ''), nullif(c.language_code, ''), c.is_active, false,"
    " $8::timestamptz AT TIME ZONE 'UTC', $8::timestamptz,"
    " $8::timestamptz AT TIME ZONE 'UTC', c.occurred_at, 1"
    " FROM (" CONTACTS
    ") AS c"
    " ON CONFLICT (user_id) DO NOTHING RETURNING " PROFILE_COLUMNS("u.")};

// All rows are locked, in the order of their keys, before one is written: that
// is why `written` counts `held`. It does not join it: PostgreSQL would read a
// whole index for that, by a plan that it made while the table was small.
const postgres::Statement kCompleteOnboarding = {
    "complete_onboarding",
    "WITH held AS MATERIALIZED (SELECT " COLUMNS("") " FROM users"
    " WHERE user_id = ANY($1::bigint[]) ORDER BY user_id FOR UPDATE),"
    " written AS (UPDATE users AS u SET onboarding_completed = true,"
    " real_name = coalesce(a.real_name, u.real_name),"
    " nickname = coalesce(a.nickname, u.nickname),"
    " study_track = coalesce(a.study_track, u.study_track),"
    " grade_band = coalesce(a.grade_band, u.grade_band),"
    " grade_year = coalesce(a.grade_year, u.grade_year),"
    " phone = coalesce(a.phone, u.phone),"
    " updated_at = $8::timestamptz AT TIME ZONE 'UTC',"
    " last_seen_at = greatest(u.last_seen_at, $8::timestamptz),"
    " revision = " NEXT_REVISION("u.")
    " FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[],"
    " $5::text[], $6::text[], $7::text[])"
    " AS a (user_id, real_name, nickname, study_track, grade_band, grade_year,"
    " phone)"
    " WHERE u.user_id = a.user_id AND u.user_id = ANY($1::bigint[])"
    " AND u.onboarding_completed IS NOT TRUE"
    " AND (SELECT count(*) FROM held) > 0"
    " RETURNING " COLUMNS("u.") ")"
    " SELECT " PROFILE_COLUMNS("") ", true FROM written UNION ALL"
    " SELECT " PROFILE_COLUMNS("") ", false FROM held WHERE NOT EXISTS"
    " (SELECT FROM written WHERE written.user_id = held.user_id)"};

// A column of an expression is not in indkey; what the index depends on tells.
const postgres::Statement kNicknameIndexes = {
    "nickname_indexes",
    "SELECT relname FROM pg_index AS i JOIN pg_class AS c ON oid = indexrelid"
    " WHERE indrelid = 'users'::regclass AND indisunique AND"
    " (SELECT bool_and(attname = 'nickname') FROM pg_attribute AS a"
    " WHERE attrelid = indrelid AND"
    " (attnum = ANY ((indkey::smallint[])[0:indnkeyatts - 1])"
    " OR indexprs IS NOT NULL AND EXISTS (SELECT FROM pg_depend"
    " WHERE classid = 'pg_class'::regclass AND objid = indexrelid"
    " AND refobjid = attrelid AND refobjsubid = attnum)))"};

}  // namespace userprofile::store
