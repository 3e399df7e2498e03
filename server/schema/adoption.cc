#include "server/schema/adoption.h"

#include "base/status_macros.h"
#include "server/schema/contract.h"

namespace userprofile::schema {
namespace {

// How likely a column's name ($1 alone is not enough) makes it a Telegram id: 0
// means not at all, 1 only if others say so too. Case and _ do not count.
#define LIKENESS(name)                                                         \
  "CASE WHEN replace(lower(" name                                              \
  "::text), '_', '') ~"                                                        \
  "  '^(id)?(user|chat|bot)?(telegram|tg)(user|chat|account)?(u?id)?$' THEN 3" \
  " WHEN replace(lower(" name                                                  \
  "::text), '_', '') = 'userid' THEN 2"                                        \
  " WHEN replace(lower(" name                                                  \
  "::text), '_', '') = 'chatid' THEN 1"                                        \
  " ELSE 0 END"

// Whether a column's type can hold one.
#define CAN_HOLD_ID(type) \
  type " = ANY ('{int4,int8,numeric,text,varchar,bpchar}'::regtype[])"

// Whether no other row has its value, perhaps of some rows only; of any;
// whether it refers to other tables.
#define IS_UNIQUE_WHERE(a, which)                                    \
  "EXISTS (SELECT FROM pg_index WHERE indrelid = " a                 \
  ".attrelid"                                                        \
  " AND indisunique AND indnkeyatts = 1" which " AND indkey[0] = " a \
  ".attnum)"
#define IS_UNIQUE(a) IS_UNIQUE_WHERE(a, " AND indpred IS NULL")
#define REFERS(a)                                         \
  "EXISTS (SELECT FROM pg_constraint WHERE conrelid = " a \
  ".attrelid"                                             \
  " AND contype = 'f' AND " a ".attnum = ANY (conkey))"

// Whether PostgreSQL counts it up, or did, before its default was dropped.
#define IS_COUNTED(a)                                                   \
  "(pg_get_serial_sequence(" a ".attrelid::regclass::text, " a          \
  ".attname::text) IS NOT NULL OR EXISTS (SELECT FROM pg_attrdef WHERE" \
  " adrelid = " a ".attrelid AND adnum = " a                            \
  ".attnum"                                                             \
  " AND pg_get_expr(adbin, adrelid) ~ 'nextval\"?\\('))"

// Tables by whose name one expects users, those that hold the service's own
// columns, and those with a key that looks like a Telegram id. Not an empty
// one, as far as that can be told without reading it.
constexpr postgres::Statement kFindElsewhere = {
    "find_users_elsewhere",
    "SELECT pg_catalog.format('%I.%I', nspname, relname),"
    " quote_ident(nspname::text), relname = $1, has_history,"
    " CASE WHEN NOT has_schema_privilege(namespace, 'USAGE') THEN"
    "   pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', nspname,"
    "    current_user)"
    "  WHEN relname = $1 THEN pg_catalog.format("
    "   'ALTER ROLE %I IN DATABASE %I SET search_path = %I%s', current_user,"
    "   current_database(), nspname, path)"
    "  ELSE pg_catalog.concat(pg_catalog.format('ALTER TABLE %I.%I RENAME TO users',"
    "    nspname, relname),"
    "   CASE WHEN attname <> 'user_id' THEN pg_catalog.format("
    "    '; ALTER TABLE %I.users RENAME COLUMN %I TO user_id', nspname,"
    "    attname) END,"
    "   CASE WHEN nspname <> ALL (current_schemas(false)) THEN"
    "    pg_catalog.format('; ALTER ROLE %I IN DATABASE %I SET search_path ="
    " %I%s', current_user, current_database(), nspname, path) END) END"
    " FROM (SELECT c.oid, n.oid AS namespace, nspname, relname, relkind,"
    "   attname, likeness, is_sole, EXISTS (SELECT FROM pg_class AS h"
    "    WHERE h.relnamespace = n.oid AND h.relname = 'userprofile_migrations')"
    "    AS has_history,"
    "   replace(lower(relname::text), '_', '') ~ '^(bot|tg|telegram|app|chat)?"
    "(user|account|member|person|people|customer|client|profile|subscriber|"
    "player)s?$' AS sounds_right,"
    "   2 = (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid"
    "    AND NOT attisdropped"
    "    AND attname IN ('onboarding_completed', 'nickname')) AS is_like_ours"
    "  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace,"
    "  LATERAL (SELECT a.attname, " LIKENESS("a.attname") " AS likeness,"
    "    a.attname = 'id' AS is_id, " IS_UNIQUE("a") " AND NOT " REFERS("a")
    "    AS is_sole FROM pg_attribute AS a"
    "   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    "    AND " CAN_HOLD_ID("a.atttypid")
    // An id that PostgreSQL counts up is nobody's at Telegram.
    "    AND (" LIKENESS("a.attname") " > 0 OR a.attname = 'id'"
    "     AND a.attidentity = '' AND NOT a.atthasdef)"
    "   ORDER BY a.attname = 'user_id' DESC, likeness DESC, attnum LIMIT 1"
    "  ) AS key"
    "  WHERE relkind IN ('r', 'p', 'f', 'v', 'm') AND relpersistence <> 't'"
    "   AND NOT relispartition"
    "   AND nspname NOT IN ('pg_catalog', 'information_schema')"
    "   AND c.oid IS DISTINCT FROM to_regclass($1)"
    " ) AS place, (SELECT coalesce(', ' || nullif("
    "   current_setting('search_path'), ''), '')) AS before (path)"
    " WHERE relname = $1 OR is_like_ours"
    "  OR relkind IN ('f', 'v') AND sounds_right"
    "  OR (sounds_right OR likeness > 0 AND is_sole) AND 0 < CASE"
    "   WHEN relkind = 'p' THEN (SELECT sum(pg_relation_size(relid))"
    "    FROM pg_partition_tree(place.oid))"
    "   WHEN relkind IN ('r', 'm') THEN pg_relation_size(place.oid) END"
    " ORDER BY relname = $1 DESC, has_history DESC, lower(relname::text) = $1"
    "  DESC, is_like_ours DESC, sounds_right AND relkind = 'r' DESC,"
    "  sounds_right DESC, likeness DESC, relkind = 'r' DESC, 1"};
// Its columns, in their order.
struct InElsewhere {
  enum : int { kPlace, kSchema, kHasItsName, kHasHistory, kSql };
};

constexpr postgres::Statement kFindKey = {
    "find_key",
    "SELECT quote_ident(attname::text), pg_catalog.format("
    "  'ALTER TABLE users RENAME COLUMN %I TO user_id', attname)"
    " FROM pg_attribute AS a"
    " WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped"
    "  AND (" LIKENESS("attname") " > 0 OR attname = 'id'"
    "   AND attidentity = '' AND NOT atthasdef)"
    "  AND " CAN_HOLD_ID("atttypid")
    " ORDER BY " LIKENESS("attname") " DESC, " IS_UNIQUE("a") " DESC, attnum"};

// A chat may be that of somebody else, unless each user has one. Beside a
// user_id that is counted up, whatever identifies people may be the Telegram
// id, by any name; but neither what is counted itself, nor telephone numbers
// and nicknames: these are unique numbers beside true ids too, and to rename
// one of them to user_id would never be right.
constexpr postgres::Statement kFindKeysBeside = {
    "find_keys_beside",
    "SELECT a.attname, quote_ident(a.attname::text), pg_catalog.format("
    "  'ALTER TABLE users RENAME COLUMN user_id TO %I;"
    " ALTER TABLE users RENAME COLUMN %I TO user_id',"
    "  CASE WHEN EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1::oid"
    "   AND attname = 'internal_id') THEN 'internal_user_id'"
    "   ELSE 'internal_id' END, a.attname), " LIKENESS("a.attname") " > 0"
    " FROM pg_attribute AS a JOIN pg_attribute AS ours"
    "  ON ours.attrelid = a.attrelid AND ours.attname = 'user_id'"
    " WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped"
    "  AND a.attname <> 'user_id' AND (" LIKENESS("a.attname") " = 3"
    "   OR " LIKENESS("a.attname") " > 0"
    "    AND (a.attnotnull OR " IS_UNIQUE("a") ")"
    "   OR " IS_UNIQUE_WHERE("a", "") " AND " IS_COUNTED("ours")
    "    AND NOT " IS_COUNTED("a") " AND lower(a.attname::text) !~"
    "     'phone|mobile|msisdn|whatsapp|^tel_?(no|num|number)?$|^nickname$')"
    "  AND " CAN_HOLD_ID("a.atttypid")
    "  AND has_table_privilege($1::oid, 'SELECT')"
    "  AND NOT row_security_active($1::oid)"
    "  AND coalesce(col_description(ours.attrelid, ours.attnum), '')"
    "   !~* 'telegram'"
    " ORDER BY " LIKENESS("a.attname") " DESC, a.attnum"};

// Of some users, whether a column ($1) of most has another number. Unless its
// name says what that is ($2), user_id has to look counted as well: a default
// that nobody draws from (SQLAlchemy makes one for each whole number that is
// the key) stands beside true ids, and nearly all of these have nine digits or
// more.
constexpr postgres::Statement kCompareKeys = {
    "compare_keys",
    "SELECT 2 * count(*) FILTER (WHERE theirs <> ours) > count(theirs)"
    "  AND 10 * count(theirs) >= count(*) AND count(theirs) > 0"
    "  AND ($2::boolean OR"
    "   2 * count(*) FILTER (WHERE length(ours) < 9) > count(*)) FROM ("
    "  SELECT substring(btrim(pg_catalog.to_jsonb(u) ->> $1), "
    "'^0*([1-9][0-9]{0,18})$')"
    "   AS theirs, coalesce(pg_catalog.to_jsonb(u) ->> 'user_id', '') AS ours"
    "  FROM users AS u LIMIT 1000) AS pair"};

constexpr postgres::Statement kRebuildKey = {
    "rebuild_key",
    "SELECT pg_catalog.concat("
    " (SELECT string_agg(pg_catalog.format("
    "   'ALTER TABLE %s DROP CONSTRAINT %I; ', conrelid::regclass, conname), ''"
    "   ORDER BY oid) FROM pg_constraint"
    "  WHERE contype = 'f' AND conindid = p.conindid AND conparentid = 0),"
    " pg_catalog.format('ALTER TABLE users DROP CONSTRAINT %I; ', conname),"
    " CASE WHEN NOT condeferrable THEN pg_catalog.format("
    "  'ALTER TABLE users ADD %s; ', pg_catalog.regexp_replace("
    "   pg_get_constraintdef(oid), '^PRIMARY KEY', 'UNIQUE')) END,"
    " (SELECT string_agg(pg_catalog.format("
    "   'ALTER TABLE %s ADD CONSTRAINT %I %s; ', conrelid::regclass, conname,"
    "   pg_get_constraintdef(oid)), '' ORDER BY oid) FROM pg_constraint"
    "  WHERE contype = 'f' AND conindid = p.conindid AND conparentid = 0),"
    " 'ALTER TABLE users ADD PRIMARY KEY (user_id)')"
    " FROM pg_constraint AS p WHERE conrelid = $1::oid AND contype = 'p'"};

// A view of one table in its schema is set aside for that table. From
// everything else the rows are copied, and what refers to it refers to the copy
// then. Identities go on where they were.
constexpr postgres::Statement kMakeTable = {
    "make_table",
    "WITH u AS (SELECT * FROM pg_class WHERE oid = $1::oid),"
    " base AS (SELECT DISTINCT b.oid, b.relname, b.relkind, b.relnamespace"
    "  FROM pg_rewrite AS w JOIN pg_depend AS d"
    "   ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid"
    "    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> $1::oid"
    "  JOIN pg_class AS b ON b.oid = d.refobjid WHERE ev_class = $1::oid),"
    " aside (name) AS (SELECT coalesce(min(name), 'users_set_aside')"
    "  FROM unnest(ARRAY['users_set_aside', 'users_set_aside_2']) AS name, u"
    "  WHERE NOT EXISTS (SELECT FROM pg_class AS c WHERE c.relname = name"
    "   AND c.relnamespace = u.relnamespace)),"
    " columns (list) AS (SELECT string_agg(quote_ident(attname::text), ', '"
    "  ORDER BY attnum) FROM pg_attribute WHERE attrelid = $1::oid"
    "   AND attnum > 0 AND NOT attisdropped AND attgenerated = '')"
    " SELECT CASE WHEN u.relkind = 'v' AND 1 = (SELECT count(*) FROM base)"
    "  AND (SELECT relkind = 'r' AND relnamespace = u.relnamespace FROM base)"
    " THEN (SELECT pg_catalog.format('ALTER VIEW users RENAME TO %I; ALTER"
    " TABLE %s RENAME TO users', aside.name, base.oid::regclass) FROM base)"
    " ELSE pg_catalog.concat(pg_catalog.format('ALTER TABLE users RENAME TO "
    "%1$I; CREATE"
    " TABLE users (LIKE %1$I INCLUDING ALL); INSERT INTO users (%2$s)"
    " OVERRIDING SYSTEM VALUE SELECT %2$s FROM %1$I', aside.name, list),"
    "  (SELECT string_agg(pg_catalog.format('; SELECT"
    " setval(pg_get_serial_sequence(''users'', %L), (SELECT max(%I) FROM"
    " users))', attname, attname), '') FROM pg_attribute"
    "   WHERE attrelid = $1::oid AND attidentity <> ''),"
    "  (SELECT string_agg(pg_catalog.format("
    "    '; ALTER TABLE %1$s DROP CONSTRAINT %2$I; ALTER TABLE %1$s ADD"
    " CONSTRAINT %2$I %3$s', conrelid::regclass, conname,"
    "    pg_get_constraintdef(oid)), '' ORDER BY oid) FROM pg_constraint"
    "   WHERE contype = 'f' AND confrelid = $1::oid AND conparentid = 0))"
    " END FROM u, aside, columns"};

constexpr postgres::Statement kTakeInHeirs = {
    "take_in_heirs",
    "SELECT string_agg(pg_catalog.format('INSERT INTO users (%1$s) OVERRIDING"
    " SYSTEM VALUE SELECT %1$s FROM ONLY %2$s ON CONFLICT DO NOTHING;"
    " ALTER TABLE %2$s NO INHERIT users', list, inhrelid::regclass), '; ')"
    " FROM pg_inherits, (SELECT string_agg(quote_ident(attname::text), ', '"
    "   ORDER BY attnum) AS list FROM pg_attribute WHERE attrelid = $1::oid"
    "   AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns"
    " WHERE inhparent = $1::oid"};

absl::StatusOr<std::string> Sql(postgres::Session& session,
                                const postgres::Statement& statement,
                                const std::string& oid) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               session.Execute(statement, {oid}));
  return rows.empty() ? "" : std::string(rows.Text(0, 0));
}

}  // namespace

absl::StatusOr<absl::optional<Elsewhere>> FindElsewhere(
    postgres::Session& session) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      session.Execute(kFindElsewhere, {UsersContract().table}));
  if (rows.empty()) return absl::optional<Elsewhere>();
  return absl::optional<Elsewhere>(
      {std::string(rows.Text(0, InElsewhere::kPlace)),
       std::string(rows.Text(0, InElsewhere::kSchema)),
       rows.Bool(0, InElsewhere::kHasItsName),
       rows.Bool(0, InElsewhere::kHasHistory),
       std::string(rows.Text(0, InElsewhere::kSql))});
}

absl::StatusOr<absl::optional<KeyBeside>> FindKey(postgres::Session& session,
                                                  const std::string& oid) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows rows,
                               session.Execute(kFindKey, {oid}));
  if (rows.empty()) return absl::optional<KeyBeside>();
  return absl::optional<KeyBeside>(
      {std::string(rows.Text(0, 0)), std::string(rows.Text(0, 1))});
}

absl::StatusOr<absl::optional<KeyBeside>> FindKeyBeside(
    postgres::Session& session, const std::string& oid) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows columns,
                               session.Execute(kFindKeysBeside, {oid}));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows differs,
        session.Execute(kCompareKeys, {std::string(columns.Text(i, 0)),
                                       std::string(columns.Text(i, 3))}));
    if (differs.Bool(0, 0)) {
      return absl::optional<KeyBeside>(
          {std::string(columns.Text(i, 1)), std::string(columns.Text(i, 2))});
    }
  }
  return absl::optional<KeyBeside>();
}

absl::StatusOr<std::string> RebuildKey(postgres::Session& session,
                                       const std::string& oid) {
  return Sql(session, kRebuildKey, oid);
}

absl::StatusOr<std::string> MakeTable(postgres::Session& session,
                                      const std::string& oid) {
  return Sql(session, kMakeTable, oid);
}

absl::StatusOr<std::string> TakeInHeirs(postgres::Session& session,
                                        const std::string& oid) {
  return Sql(session, kTakeInHeirs, oid);
}

}  // namespace userprofile::schema
