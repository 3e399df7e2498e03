#ifndef USERPROFILE_SERVER_USERS_TOKEN_KEY_H_
#define USERPROFILE_SERVER_USERS_TOKEN_KEY_H_

#include <cstddef>

// The key of the tokens that the service gives to callers (sealed_token.h): one
// row in a table beside users, so that all servers of a database have the same,
// and have it again after a restart. Backups leave it out. The service goes on
// without it, but for calls that need such tokens.
namespace userprofile::users {

inline constexpr char kTokenKeyTable[] = "userprofile_token_key";

// SQL that asks what is the matter with it for the role $1 (or the current
// one), before anybody reads it: NULL if nothing, "missing", "foreign" (whoever
// may create a table there could have planted it), or "hidden" (the role may
// not read it). It is ours if its owner may do all that the owner of users may.
// And whether the current role may read it.
inline constexpr char kFindTokenKey[] =
    "SELECT CASE WHEN t.oid IS NULL THEN 'missing'"
    " WHEN t.relkind <> 'r' OR NOT pg_has_role(t.relowner, u.relowner, "
    "'MEMBER')"
    "  OR NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = t.oid"
    "   AND attname = 'key' AND atttypid = 'bytea'::regtype) THEN 'foreign'"
    " WHEN NOT has_table_privilege(coalesce($1::name, current_user), t.oid,"
    "  'SELECT') THEN 'hidden' END, has_table_privilege(t.oid, 'SELECT')"
    " FROM pg_class AS u LEFT JOIN pg_class AS t"
    "  ON t.relnamespace = u.relnamespace"
    "  AND t.relname = 'userprofile_token_key'"
    " WHERE u.oid = to_regclass(:'users')";

// SQL that reads the key, in hexadecimal.
inline constexpr char kReadTokenKey[] =
    "SELECT encode(key, 'hex') FROM :schema.userprofile_token_key";

// SQL that says whether it is there.
inline constexpr char kHasTokenKey[] =
    "SELECT count(*) = 1 AND coalesce(bool_and(octet_length(key) = 32), false)"
    " FROM :schema.userprofile_token_key";

// SQL that makes the table. Never adds to one that there is: a trigger of
// others would run.
inline constexpr char kMakeTokenKey[] =
    "CREATE TABLE :schema.userprofile_token_key AS SELECT"
    " sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))"
    " AS key";

// Bytes of the key.
inline constexpr std::size_t kTokenKeySize = 32;

}  // namespace userprofile::users

#endif  // USERPROFILE_SERVER_USERS_TOKEN_KEY_H_
