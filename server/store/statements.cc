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

// Never 1, whatever somebody stored by hand: 1 means created.
#define NEXT_REVISION(t) "greatest(" t "revision, 1) + 1"

// Whether a contact is not older than the newest one seen.
#define IS_NEWS \
  "excluded.last_activity >= coalesce(u.last_activity, '-infinity')"

// Whether a contact has something to say about a column, be it to clear it.
#define SAYS(column, clears) \
  "(excluded." column " IS NOT NULL OR " clears "::boolean)"

// A column after a contact with a known user.
#define AFTER(column, clears)                  \
  column " = CASE WHEN " IS_NEWS " AND " SAYS( \
      column, clears) " THEN excluded." column " ELSE u." column " END"

// Whether a contact changes a column of a known user.
#define CHANGES(column, clears) \
  SAYS(column, clears) " AND excluded." column " IS DISTINCT FROM u." column

// Whether it changes what updated_at tells of.
#define CHANGES_DATA \
  "(" IS_NEWS " AND ("                   \
  CHANGES("username", "$9") " OR "       \
  CHANGES("first_name", "$10") " OR "    \
  CHANGES("last_name", "$11") " OR "     \
  CHANGES("language_code", "$12") " OR " \
  "excluded.is_active IS DISTINCT FROM u.is_active))"

// The rows of contacts with users that are not known yet.
#define CONTACTS                                                    \
  "SELECT r.user_id, r.username, r.first_name, r.last_name,"        \
  " r.language_code, r.is_active, false AS onboarding_completed,"   \
  " $8::timestamptz AT TIME ZONE 'UTC' AS created_at,"              \
  " $8::timestamptz AS last_seen_at,"                               \
  " $8::timestamptz AT TIME ZONE 'UTC' AS updated_at,"              \
  " to_timestamp(r.occurred_at) AS last_activity, 1 AS revision"    \
  " FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[],"  \
  " $5::text[], $6::boolean[], $7::double precision[])"             \
  " AS r (user_id, username, first_name, last_name, language_code," \
  " is_active, occurred_at)"

#define INSERT_USERS                                                  \
  "INSERT INTO users AS u (user_id, username, first_name, last_name," \
  " language_code, is_active, onboarding_completed, created_at,"      \
  " last_seen_at, updated_at, last_activity, revision) "

// What a contact does to a known user.
#define UPDATE_KNOWN \
  " ON CONFLICT (user_id) DO UPDATE SET "                               \
  AFTER("username", "$9") ", "                                          \
  AFTER("first_name", "$10") ", "                                       \
  AFTER("last_name", "$11") ", "                                        \
  AFTER("language_code", "$12") ", "                                    \
  "is_active = CASE WHEN " IS_NEWS                                      \
  " THEN excluded.is_active ELSE u.is_active END,"                      \
  " updated_at = CASE WHEN " CHANGES_DATA                               \
  " THEN excluded.updated_at ELSE u.updated_at END,"                    \
  " last_seen_at = greatest(u.last_seen_at, excluded.last_seen_at),"    \
  " last_activity = greatest(u.last_activity, excluded.last_activity)," \
  " revision = " NEXT_REVISION("u.")

const postgres::Statement kGetProfiles = {
    "get_profiles",
    "SELECT " PROFILE_COLUMNS("") " FROM users"
    " WHERE user_id = ANY($1::bigint[])"};

const postgres::Statement kUpsertUsers = {
    "upsert_users",
    INSERT_USERS CONTACTS " ORDER BY user_id" UPDATE_KNOWN
                          " RETURNING " PROFILE_COLUMNS("u."),
};

// LIMIT makes PostgreSQL look up each contact by the key, in a table too that
// was small as it planned the statement: it keeps the plan while that grows.
const postgres::Statement kUpsertChangedUsers = {
    "upsert_changed_users",
    "WITH contacts AS MATERIALIZED (" CONTACTS "),"
    " unchanged AS MATERIALIZED (SELECT u.* FROM contacts AS excluded,"
    " LATERAL (SELECT " COLUMNS("") " FROM users"
    " WHERE user_id = excluded.user_id LIMIT 1) AS u WHERE u.revision > 1"
    " AND u.last_seen_at > excluded.last_seen_at - $13::interval"
    " AND u.last_activity > excluded.last_activity - $13::interval"
    " AND NOT " CHANGES_DATA "),"
    " written AS (" INSERT_USERS "SELECT * FROM contacts WHERE user_id NOT IN"
    " (SELECT user_id FROM unchanged) ORDER BY user_id" UPDATE_KNOWN
    " RETURNING " COLUMNS("u.") ")"
    " SELECT " PROFILE_COLUMNS("") " FROM unchanged UNION ALL"
    " SELECT " PROFILE_COLUMNS("") " FROM written"};

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

}  // namespace userprofile::store
