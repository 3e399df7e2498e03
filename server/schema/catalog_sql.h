#ifndef USERPROFILE_SERVER_SCHEMA_CATALOG_SQL_H_
#define USERPROFILE_SERVER_SCHEMA_CATALOG_SQL_H_

#include "server/postgres/session.h"

namespace userprofile::schema {

// What catalog.cc asks pg_catalog.
//
// Each statement returns the members of its struct, in their order.

// The database, the role $1 (or the current one), and the table as that role
// meets it. Row security does not apply to who may bypass it and to owners,
// unless it is forced on them. What has the name in a schema that the role may
// not use is not found.
inline constexpr postgres::Statement kReadTable = {
    "read_table",
    "SELECT getdatabaseencoding(), quote_ident(current_database() || '_utf8'),"
    " quote_ident(r.rolname::text), c.oid, quote_ident(n.nspname::text),"
    " c.relkind, c.relpersistence, c.relreplident,"
    " c.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls"
    "  OR pg_has_role(r.oid, c.relowner, 'USAGE')"
    "  AND NOT c.relforcerowsecurity),"
    " (SELECT string_agg(needed, ', ')"
    "  FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS needed"
    "  WHERE NOT has_table_privilege(r.oid, c.oid, needed)),"
    " has_schema_privilege(r.oid, n.oid, 'USAGE'), h.oid IS NOT NULL,"
    " CASE WHEN NOT has_table_privilege(r.oid, h.oid, 'SELECT')"
    "  THEN format('%I.%I', n.nspname, h.relname) END,"
    " has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid),"
    " (SELECT coalesce(min(name), 'users_set_aside')"
    "  FROM unnest(ARRAY['users_set_aside', 'users_set_aside_2']) AS name"
    "  WHERE NOT EXISTS (SELECT FROM pg_class AS a WHERE a.relname = name"
    "   AND a.relnamespace = n.oid)),"
    " (SELECT coalesce(nullif(reset_val, ''), quote_literal(''))"
    "  FROM pg_settings"
    "  WHERE name = 'search_path'),"
    // Of the session's role. Who may create schemas, was let by those who
    // administer the database; a superuser is a member of all, and of none.
    " CASE WHEN NOT (c.relowner = me.oid"
    "   OR NOT me.rolsuper AND pg_has_role(c.relowner, 'MEMBER')"
    "   OR has_database_privilege(c.relowner, current_database(), 'CREATE')"
    "   OR coalesce(h.relowner = me.oid OR has_database_privilege(h.relowner,"
    "    current_database(), 'CREATE'), false))"
    "  THEN quote_ident(pg_get_userbyid(c.relowner)) END,"
    " quote_ident(me.rolname::text), me.rolsuper"
    " FROM pg_roles AS r"
    " JOIN pg_roles AS me ON me.rolname = current_user"
    " LEFT JOIN pg_class AS c ON c.oid = to_regclass(:'users')"
    " LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_class AS h ON h.relnamespace = n.oid"
    "  AND h.relname = 'userprofile_migrations'"
    " WHERE r.rolname = coalesce($1::name, current_user)"};

// Of the table $$1. A default that is written as a cast ('1'::bigint) is shown
// as its value. $0 and $1 are kLikeness and kCanHoldId.
inline constexpr char kReadColumns[] =
    "SELECT a.attnum, a.attname, quote_ident(a.attname::text),"
    " format_type(a.atttypid, a.atttypmod), a.attnotnull OR t.typnotnull,"
    " regexp_replace(coalesce(pg_get_expr(d.adbin, d.adrelid),"
    "  t.typdefault), '^[''(]([^'']*)['')]::[a-z ]+$$', '\\1'),"
    " a.attidentity, a.attgenerated <> '',"
    " EXISTS (SELECT FROM pg_collation WHERE oid = a.attcollation"
    "  AND NOT collisdeterministic),"
    " $0, $1, EXISTS (SELECT FROM pg_depend AS o JOIN pg_class AS s"
    "  ON s.oid = o.objid AND s.relkind = 'S'"
    "  WHERE o.classid = 'pg_class'::regclass AND o.deptype IN ('a', 'i')"
    "   AND o.refclassid = 'pg_class'::regclass AND o.refobjid = a.attrelid"
    "   AND o.refobjsubid = a.attnum),"
    " col_description(a.attrelid, a.attnum)"
    " FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid"
    " LEFT JOIN pg_attrdef AS d"
    "  ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " WHERE a.attrelid = $$1::oid AND a.attnum > 0 AND NOT a.attisdropped"
    " ORDER BY a.attnum";

// Of a column a: how likely its name makes it a Telegram id, as CatalogColumn
// has it, and whether its type can hold one. Case and _ do not count.
inline constexpr char kLikeness[] =
    "(SELECT CASE WHEN plain ~ '^(id)?(user|chat|bot)?(telegram|tg)"
    "(user|chat|account)?(u?id)?$' THEN 3 WHEN plain = 'userid' THEN 2"
    " WHEN plain = 'chatid' THEN 1 WHEN plain ~ 'phone|mobile|msisdn|whatsapp|"
    "^tel(no|num|number)?$|^nickname$' THEN -1 ELSE 0 END FROM"
    " (SELECT replace(lower(a.attname::text), '_', '')) AS name (plain))";
inline constexpr char kCanHoldId[] =
    "a.atttypid = ANY ('{int4,int8,numeric,text,varchar,bpchar}'::regtype[])";

// Of the table $1, and whatever has one of the names $2 in its schema.
// PostgreSQL 13 and 14 have no indnullsnotdistinct, hence the detour through
// jsonb.
inline constexpr postgres::Statement kReadIndexes = {
    "read_indexes",
    "SELECT c.relname, quote_ident(c.relname::text),"
    " coalesce(i.indrelid = $1::oid, false),"
    " i.indisvalid AND i.indisready, i.indisunique, i.indisprimary,"
    " i.indimmediate, i.indpred IS NOT NULL,"
    " to_jsonb(i) ->> 'indnullsnotdistinct' = 'true',"
    // Of its own, not the column's.
    " EXISTS (SELECT FROM pg_collation AS l WHERE NOT collisdeterministic"
    "  AND l.oid = ANY (i.indcollation::oid[]) AND NOT EXISTS ("
    "   SELECT FROM pg_attribute WHERE attrelid = i.indrelid"
    "   AND attnum = ANY (i.indkey) AND attcollation = l.oid)),"
    " i.indisreplident, array_to_string(ARRAY("
    "  SELECT pg_get_indexdef(i.indexrelid, k, true)"
    "  FROM generate_series(1, i.indnatts) AS k), ', '),"
    " array_to_string((i.indkey::int2[])[0:i.indnkeyatts - 1], ' '),"
    " (SELECT quote_ident(conname::text) FROM pg_constraint"
    "  WHERE conrelid = $1::oid AND conindid = c.oid AND contype <> 'f')"
    " FROM (SELECT indexrelid FROM pg_index WHERE indrelid = $1::oid"
    "  UNION SELECT n.oid FROM pg_class AS u JOIN pg_class AS n"
    "   ON n.relnamespace = u.relnamespace AND n.relname = ANY ($2::text[])"
    "  WHERE u.oid = $1::oid) AS found (oid)"
    " JOIN pg_class AS c ON c.oid = found.oid"
    " LEFT JOIN pg_index AS i ON i.indexrelid = c.oid"};

// The one of migration 012 is ours.
inline constexpr postgres::Statement kReadConstraints = {
    "read_constraints",
    "SELECT quote_ident(conname::text), contype, conrelid::regclass,"
    " conrelid = $1::oid, convalidated, condeferrable,"
    " pg_get_constraintdef(p.oid), pg_get_expr(conbin, conrelid),"
    " array_to_string(conkey, ' '),"
    " CASE WHEN contype <> 'f' OR confrelid = $1::oid THEN i.relname END"
    " FROM (SELECT DISTINCT objid FROM pg_depend"
    "  WHERE classid = 'pg_constraint'::regclass"
    "   AND refclassid = 'pg_class'::regclass AND refobjid = $1::oid) AS d"
    " JOIN pg_constraint AS p ON p.oid = d.objid"
    " LEFT JOIN pg_class AS i ON i.oid = conindid"
    " WHERE (conrelid = $1::oid AND contype IN ('p', 'u', 'c', 'f', 'x')"
    "  OR confrelid = $1::oid AND conparentid = 0)"
    "  AND conname <> 'userprofile_never_null'"
    " ORDER BY p.oid"};

// A kind, a name, and of a publication two lists of columns. PostgreSQL 13 and
// 14 know no row filters and column lists, hence the detours through jsonb.
inline constexpr postgres::Statement kReadOthers = {
    "read_others",
    "SELECT kind, name, filter, list FROM ("
    // PostgreSQL then refuses ON CONFLICT, even if the rule is disabled.
    "  SELECT 'rule' AS kind, quote_ident(rulename::text) AS name,"
    "   NULL AS filter, NULL AS list"
    "  FROM pg_rewrite WHERE ev_class = $1::oid AND ev_type IN ('2', '3')"
    // BEFORE (2) each ROW (1) of INSERT (4) or UPDATE (16).
    "  UNION ALL SELECT 'trigger', quote_ident(tgname::text), NULL, NULL"
    "  FROM pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal"
    "   AND tgenabled IN ('O', 'A') AND tgtype & 3 = 3 AND tgtype & 20 <> 0"
    // Of what is called as rows are written: functions without a search path of
    // their own, be it that a word is a name in the one that was configured.
    // One in C can look for names, too; those of defaults and the like do not.
    "  UNION ALL SELECT CASE WHEN lanname <> 'c' AND EXISTS (SELECT"
    "    FROM regexp_matches(prosrc, '(?<![\\w.])[[:alpha:]_]\\w*', 'g')"
    "     AS found (words),"
    "    unnest(current_setting('userprofile.schemas')::name[]) AS s (name)"
    "    JOIN pg_namespace AS n ON nspname = s.name"
    "    WHERE EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid"
    "      AND relname IN (words[1], lower(words[1])))"
    "     OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = n.oid"
    "      AND proname IN (words[1], lower(words[1])))"
    "     OR EXISTS (SELECT FROM pg_type WHERE typnamespace = n.oid"
    "      AND typname IN (words[1], lower(words[1]))))"
    "    THEN 'function' ELSE 'quiet function' END,"
    "   p.oid::regprocedure::text, NULL, NULL"
    "  FROM pg_proc AS p JOIN pg_language AS l ON l.oid = prolang"
    "  WHERE p.oid IN (SELECT tgfoid FROM pg_trigger"
    "    WHERE tgrelid = $1::oid AND NOT tgisinternal"
    "     AND tgenabled IN ('O', 'A') AND tgtype & 20 <> 0"
    "    UNION ALL SELECT refobjid FROM pg_depend AS d"
    "    LEFT JOIN pg_constraint AS c ON c.tableoid = classid AND c.oid = objid"
    "    LEFT JOIN pg_attrdef AS a ON a.tableoid = classid AND a.oid = objid"
    "    LEFT JOIN pg_index AS i ON classid = 'pg_class'::regclass"
    "     AND indexrelid = objid"
    "    WHERE refclassid = 'pg_proc'::regclass"
    "     AND $1::oid IN (conrelid, adrelid, indrelid))"
    "   AND lanname <> 'internal'"
    "   AND (lanname <> 'c' OR prorettype = 'trigger'::regtype)"
    "   AND NOT EXISTS (SELECT FROM unnest(proconfig) AS setting"
    "    WHERE setting LIKE 'search_path=%')"
    "  UNION ALL SELECT CASE WHEN relispartition THEN 'whole' ELSE 'parent'"
    "   END, inhparent::regclass::text, NULL, NULL"
    "  FROM pg_inherits JOIN pg_class ON oid = inhrelid"
    "  WHERE inhrelid = $1::oid"
    "  UNION ALL SELECT 'heir', inhrelid::regclass::text, NULL, NULL"
    "  FROM pg_inherits WHERE inhparent = $1::oid"
    "  UNION ALL SELECT DISTINCT 'base', CASE WHEN b.relkind = 'r'"
    "   AND b.relnamespace = u.relnamespace THEN b.oid::regclass::text"
    "   ELSE '' END, b.oid::text, NULL"
    "  FROM pg_class AS u JOIN pg_rewrite AS w ON ev_class = u.oid"
    "  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass"
    "   AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass"
    "   AND d.refobjid <> u.oid"
    "  JOIN pg_class AS b ON b.oid = d.refobjid"
    "  WHERE u.oid = $1::oid AND u.relkind = 'v'"
    "  UNION ALL SELECT 'extension', quote_ident(extname::text), NULL, NULL"
    "  FROM pg_depend JOIN pg_extension AS e ON e.oid = refobjid"
    "  WHERE classid = 'pg_class'::regclass AND objid = $1::oid"
    "   AND deptype = 'e'"
    "  UNION ALL SELECT 'sequence', s.oid::regclass::text, NULL, NULL"
    "  FROM pg_attrdef AS a JOIN pg_depend ON objid = a.oid"
    "   AND classid = 'pg_attrdef'::regclass"
    "   AND refclassid = 'pg_class'::regclass"
    "  JOIN pg_class AS s ON s.oid = refobjid AND s.relkind = 'S'"
    "  JOIN pg_roles AS r ON rolname = coalesce($2::name, current_user)"
    "  WHERE adrelid = $1::oid"
    "   AND NOT has_sequence_privilege(r.oid, s.oid, 'USAGE, UPDATE')"
    "  UNION ALL SELECT 'publication', quote_ident(pubname::text),"
    "   (SELECT string_agg(attnum::text, ' ') FROM pg_attribute"
    "    WHERE attrelid = $1::oid AND attnum > 0 AND to_jsonb(r)"
    "     ->> 'prqual' LIKE '%:varattno ' || attnum::text || ' %'),"
    "   translate(to_jsonb(r) ->> 'prattrs', '[],', '   ')"
    "  FROM pg_class AS u JOIN pg_namespace AS n ON n.oid = u.relnamespace"
    "  JOIN pg_publication_tables AS t"
    "   ON t.schemaname = n.nspname AND t.tablename = u.relname"
    "  JOIN pg_publication AS p USING (pubname)"
    "  LEFT JOIN pg_publication_rel AS r"
    "   ON r.prpubid = p.oid AND r.prrelid = u.oid"
    "  WHERE u.oid = $1::oid AND p.pubupdate"
    " ) AS other ORDER BY kind, name COLLATE \"C\""};

// Tables by whose name one expects users, those that hold the service's own
// columns, and those with a key that looks like a Telegram id. Not an empty
// one, as far as that can be told without reading it. Of them the likeliest;
// $0 and $1 are kLikeness and kCanHoldId.
inline constexpr char kFindElsewhere[] =
    "SELECT format('%I.%I', nspname, relname),"
    " quote_ident(nspname::text), relname = $$1, has_history,"
    " CASE WHEN NOT has_schema_privilege(namespace, 'USAGE') THEN"
    "   format('GRANT USAGE ON SCHEMA %I TO %I', nspname, current_user)"
    "  WHEN relname = $$1 THEN path"
    "  ELSE concat("
    "   format('ALTER TABLE %I.%I RENAME TO users', nspname, relname),"
    "   CASE WHEN attname <> 'user_id' THEN format("
    "    '; ALTER TABLE %I.users RENAME COLUMN %I TO user_id', nspname,"
    "    attname) END,"
    "   CASE WHEN nspname <> ALL ("
    "    current_setting('userprofile.schemas')::name[]) THEN '; ' || path"
    "    END) END"
    " FROM (SELECT c.oid, n.oid AS namespace, nspname, relname, relkind,"
    "   attname, likeness, is_sole, EXISTS (SELECT FROM pg_class AS h"
    "    WHERE h.relnamespace = n.oid AND h.relname = 'userprofile_migrations')"
    "    AS has_history,"
    "   replace(lower(relname::text), '_', '') ~ '^(bot|tg|telegram|app|chat)?"
    "(user|account|member|person|people|customer|client|profile|subscriber|"
    "player)s?$$' AS sounds_right,"
    "   2 = (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid"
    "    AND NOT attisdropped"
    "    AND attname IN ('onboarding_completed', 'nickname')) AS is_like_ours,"
    "   format('ALTER ROLE %I IN DATABASE %I SET search_path ="
    " %I%s', current_user, current_database(), nspname,"
    "    ', ' || (SELECT nullif(reset_val, '') FROM pg_settings"
    "     WHERE name = 'search_path')) AS path"
    "  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace,"
    "  LATERAL (SELECT attname, likeness, EXISTS (SELECT FROM pg_index"
    "     WHERE indrelid = c.oid AND indisunique AND indnkeyatts = 1"
    "      AND indpred IS NULL AND indkey[0] = attnum)"
    "    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid"
    "     AND contype = 'f' AND attnum = ANY (conkey)) AS is_sole"
    "   FROM pg_attribute AS a, LATERAL (SELECT $0) AS name (likeness)"
    "   WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND $1"
    // An id that PostgreSQL counts up is nobody's at Telegram.
    "    AND (likeness > 0"
    "     OR attname = 'id' AND attidentity = '' AND NOT atthasdef)"
    "   ORDER BY attname = 'user_id' DESC, likeness DESC, attnum LIMIT 1"
    "  ) AS key"
    "  WHERE relkind IN ('r', 'p', 'f', 'v', 'm') AND relpersistence <> 't'"
    "   AND NOT relispartition"
    "   AND nspname NOT IN ('pg_catalog', 'information_schema')"
    "   AND c.oid IS DISTINCT FROM to_regclass(:'users')"
    " ) AS place"
    " WHERE relname = $$1 OR is_like_ours"
    "  OR relkind IN ('f', 'v') AND sounds_right"
    "  OR (sounds_right OR likeness > 0 AND is_sole) AND 0 < CASE"
    "   WHEN relkind = 'p' THEN (SELECT sum(pg_relation_size(relid))"
    "    FROM pg_partition_tree(place.oid))"
    "   WHEN relkind IN ('r', 'm') THEN pg_relation_size(place.oid) END"
    " ORDER BY relname = $$1 DESC, has_history DESC, lower(relname::text) = $$1"
    "  DESC, is_like_ours DESC, sounds_right AND relkind = 'r' DESC,"
    "  sounds_right DESC, likeness DESC, relkind = 'r' DESC, 1 LIMIT 1";

// Of some users, whether a column ($0, quoted) of most has another number.
// Unless its name says what that is ($$1), user_id has to look counted as well:
// a default that nobody draws from (SQLAlchemy makes one for each whole number
// that is the key) stands beside true ids, and nearly all of these have nine
// digits or more. A column that is unique with others only ($$2) must look like
// one, and not be the same again and again. By concat, which calls no cast that
// others may have made for the types of their columns, as to_jsonb does.
inline constexpr char kCompareKeys[] =
    "SELECT 2 * count(*) FILTER (WHERE theirs <> ours) > count(theirs)"
    "  AND 10 * count(theirs) >= count(*) AND count(theirs) > 0"
    "  AND ($$1::boolean OR"
    "   2 * count(*) FILTER (WHERE length(ours) < 9) > count(*))"
    "  AND (NOT $$2::boolean OR"
    "   2 * count(DISTINCT theirs) FILTER (WHERE length(theirs) >= 9)"
    "    > count(theirs)) FROM ("
    "  SELECT substring(btrim(concat($0)), '^0*([1-9][0-9]{0,18})$$')"
    "   AS theirs, concat(user_id) AS ours"
    "  FROM :users LIMIT 1000) AS pair";

}  // namespace userprofile::schema

#endif  // USERPROFILE_SERVER_SCHEMA_CATALOG_SQL_H_
