#include "server/schema/meddlers.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/postgres/array_literal.h"
#include "server/schema/contract.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {
namespace {

// Each meddler: its kind, its name, and the SQL that rids the table $1 of it.
// $2 is the role, $3 our columns, $4 our indexes. PostgreSQL 13 and 14 know no
// row filters and column lists, hence the detours through jsonb.
constexpr postgres::Statement kFindMeddlers = {
    "find_meddlers",
    "WITH u AS (SELECT c.*, n.nspname FROM pg_class AS c"
    "  JOIN pg_namespace AS n ON n.oid = relnamespace WHERE c.oid = $1::oid),"
    // What tells a subscriber which row is meant.
    " identity (num) AS (SELECT pg_catalog.unnest(indkey::int2[]) FROM u JOIN "
    "pg_index"
    "  ON indrelid = u.oid WHERE relreplident = 'd' AND indisprimary"
    "  OR relreplident = 'i' AND indisreplident),"
    " published AS (SELECT pubname, pg_catalog.to_jsonb(r) ->> 'prqual' AS "
    "filter,"
    "   translate(pg_catalog.to_jsonb(r) ->> 'prattrs', '[]', '{}')::int2[] AS "
    "list"
    "  FROM u JOIN pg_publication_tables AS t"
    "   ON t.schemaname = u.nspname AND t.tablename = u.relname"
    "  JOIN pg_publication AS p USING (pubname)"
    "  LEFT JOIN pg_publication_rel AS r"
    "   ON r.prpubid = p.oid AND r.prrelid = u.oid"
    "  WHERE p.pubupdate)"
    " SELECT kind, CASE WHEN kind IN ('parent', 'whole', 'sequence',"
    "   'encoding', 'no encoding')"
    "   THEN name::text ELSE quote_ident(name::text) END, remedy FROM ("
    // Of INSERT and UPDATE: PostgreSQL then refuses ON CONFLICT, even if the
    // rule is disabled.
    "  SELECT 'rule' AS kind, rulename AS name,"
    "   pg_catalog.format('DROP RULE %I ON users', rulename) AS remedy"
    "  FROM pg_rewrite WHERE ev_class = $1::oid AND ev_type IN ('2', '3')"
    // BEFORE (2) each ROW (1) of INSERT (4) or UPDATE (16).
    "  UNION ALL SELECT 'trigger', tgname,"
    "   pg_catalog.format('ALTER TABLE users DISABLE TRIGGER %I', tgname)"
    "  FROM pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal"
    "   AND tgenabled IN ('O', 'A') AND tgtype & 3 = 3 AND tgtype & 20 <> 0"
    // What could refuse a user for a column of ours: constraints, and unique
    // indexes, unless user_id is part of them or they are ours. What refers to
    // one has to go first.
    "  UNION ALL SELECT 'guard', name,"
    "   pg_catalog.concat((SELECT string_agg(pg_catalog.format("
    "     'ALTER TABLE %s DROP CONSTRAINT %I; ', f.conrelid::regclass,"
    "     f.conname), '') FROM pg_constraint AS f"
    "    WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conindid = index),"
    "    CASE WHEN con IS NULL"
    "     THEN pg_catalog.format('DROP INDEX %s', index::regclass)"
    "     ELSE pg_catalog.format('ALTER TABLE users DROP CONSTRAINT %I', con)"
    "    END)"
    "  FROM ("
    "   SELECT conname, conkey, 0::oid, conname FROM pg_constraint"
    "   WHERE conrelid = $1::oid AND (contype IN ('f', 'x')"
    "    OR contype = 'c' AND convalidated)"
    "   UNION ALL"
    "   SELECT i.relname, (indkey::int2[])[0:indnkeyatts - 1], indexrelid,"
    "    (SELECT conname FROM pg_constraint"
    "     WHERE conrelid = $1::oid AND conindid = indexrelid)"
    "   FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid"
    "   WHERE indrelid = $1::oid AND indisunique AND NOT indisprimary"
    "    AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = $1::oid"
    "     AND attname = 'user_id'"
    "     AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1]))"
    "  ) AS guard (name, keys, index, con)"
    "  WHERE name <> ALL ($4::text[]) AND (0 = ANY (keys) OR EXISTS ("
    "   SELECT FROM pg_attribute WHERE attrelid = $1::oid"
    "   AND attnum = ANY (keys) AND attname = ANY ($3::text[])))"
    "  UNION ALL SELECT 'promise', conname,"
    "   pg_catalog.format('ALTER TABLE users DROP CONSTRAINT %I', conname)"
    "  FROM pg_constraint WHERE conrelid = $1::oid AND contype = 'c'"
    "   AND NOT convalidated AND conname <> ALL ($4::text[])"
    "  UNION ALL SELECT CASE WHEN relispartition THEN 'whole' ELSE 'parent'"
    "   END, inhparent::regclass::text, CASE WHEN relispartition"
    "   THEN pg_catalog.format('ALTER TABLE %s DETACH PARTITION users',"
    "    inhparent::regclass)"
    "   ELSE pg_catalog.format('ALTER TABLE users NO INHERIT %s',"
    "    inhparent::regclass) END"
    "  FROM u JOIN pg_inherits ON inhrelid = u.oid"
    "  UNION ALL SELECT 'publication', pubname, CASE WHEN EXISTS ("
    "   SELECT FROM pg_index WHERE indrelid = $1::oid AND indisprimary)"
    "   THEN 'ALTER TABLE users REPLICA IDENTITY DEFAULT'"
    "   ELSE 'ALTER TABLE users REPLICA IDENTITY FULL' END"
    "  FROM u, published"
    "  WHERE relreplident <> 'f' AND NOT EXISTS (SELECT FROM identity)"
    "  UNION ALL SELECT 'filter', pubname,"
    "   'ALTER TABLE users REPLICA IDENTITY FULL'"
    "  FROM u, published WHERE relreplident <> 'f' AND EXISTS ("
    "   SELECT FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0"
    "   AND attnum NOT IN (SELECT num FROM identity)"
    "   AND filter LIKE '%:varattno ' || attnum::text || ' %')"
    "  UNION ALL SELECT 'list', pubname, pg_catalog.format("
    "   'ALTER PUBLICATION %1$I DROP TABLE users;"
    " ALTER PUBLICATION %1$I ADD TABLE users', pubname)"
    "  FROM u, published WHERE list IS NOT NULL AND (relreplident = 'f'"
    "   OR EXISTS (SELECT FROM identity WHERE num <> ALL (list)))"
    "  UNION ALL SELECT 'extension', extname,"
    "   pg_catalog.format('ALTER EXTENSION %I DROP TABLE users', extname)"
    "  FROM pg_depend JOIN pg_extension AS e ON e.oid = refobjid"
    "  WHERE classid = 'pg_class'::regclass AND objid = $1::oid"
    "   AND deptype = 'e'"
    "  UNION ALL SELECT CASE WHEN getdatabaseencoding() = 'SQL_ASCII'"
    "   THEN 'no encoding' ELSE 'encoding' END, getdatabaseencoding(),"
    "   pg_catalog.format('CREATE DATABASE %I ENCODING ''UTF8'' LC_COLLATE"
    " ''C'' LC_CTYPE ''C'' TEMPLATE template0', current_database() || '_utf8')"
    "  WHERE getdatabaseencoding() <> 'UTF8'"
    "  UNION ALL SELECT CASE WHEN attname = 'nickname' THEN 'collation' ELSE"
    "   'other collation' END, attname, pg_catalog.format('ALTER TABLE users"
    " ALTER COLUMN %I TYPE %s COLLATE pg_catalog.\"default\"', attname,"
    "   format_type(atttypid, atttypmod))"
    "  FROM pg_attribute JOIN pg_collation AS l ON l.oid = attcollation"
    "  WHERE attrelid = $1::oid AND NOT collisdeterministic"
    "   AND attname = ANY ($3::text[])"
    // For a default of others' that counts.
    "  UNION ALL SELECT 'sequence', s.oid::regclass::text,"
    "   pg_catalog.format('GRANT USAGE ON SEQUENCE %s TO %I', s.oid::regclass,"
    "    rolname)"
    "  FROM pg_attrdef AS a JOIN pg_depend ON objid = a.oid"
    "   AND classid = 'pg_attrdef'::regclass"
    "   AND refclassid = 'pg_class'::regclass"
    "  JOIN pg_class AS s ON s.oid = refobjid AND s.relkind = 'S'"
    "  JOIN pg_roles AS r ON rolname = coalesce($2::name, current_user)"
    "  WHERE adrelid = $1::oid"
    "   AND NOT has_sequence_privilege(r.oid, s.oid, 'USAGE, UPDATE')"
    " ) AS meddler ORDER BY kind, name::text COLLATE \"C\""};
// Its columns, in their order.
struct InMeddlers {
  enum : int { kKind, kName, kRemedy };
};

struct Kind {
  const char* name;  // in the query
  Severity severity;
  const char* expected;
  const char* found;   // before the names
  const char* advice;  // before the SQL; nullptr if that needs no decision
};

// A trigger that changes a row before it is stored is common and mostly
// harmless, and what it stores is what we answer: it is only reported, and so
// is a constraint, which may refuse nobody in practice.
constexpr Kind kKinds[] = {
    {"rule", Severity::kBlocking, "no rules for INSERT and UPDATE", "rules",
     "a trigger can do what a rule does"},
    {"publication", Severity::kBlocking,
     "a replica identity, for it is published",
     "no replica identity, so that PostgreSQL refuses every update, for "
     "publications",
     "say what identifies a row"},
    {"filter", Severity::kBlocking,
     "row filters of columns of the replica identity only",
     "row filters of other columns, so that PostgreSQL refuses every update, "
     "in publications",
     "publish whole rows as their identity"},
    {"list", Severity::kBlocking, "column lists that hold the replica identity",
     "column lists without it, so that PostgreSQL refuses every update, in "
     "publications",
     "publish all columns"},
    {"whole", Severity::kBlocking, "a table by itself, which takes every user",
     "partition of", "make it one"},
    {"encoding", Severity::kBlocking, "a database in UTF8", "encoding",
     "it can't hold every name; make one that can, and move into it with "
     "pg_dump and psql"},
    {"collation", Severity::kBlocking, "nicknames that differ if they differ",
     "nondeterministic collation of",
     "nicknames that look alike to it are refused"},
    {"sequence", Severity::kBlocking, "USAGE", "no USAGE of", nullptr},
    {"trigger", Severity::kAdvisory,
     "no trigger that can change or swallow what is written", "BEFORE triggers",
     "see that none returns NULL or OLD, or touches the columns of the "
     "service; else make it an AFTER trigger, or"},
    {"guard", Severity::kAdvisory, "no constraint that could refuse a user",
     "constraints or unique indexes",
     "see that none refuses what users may have (a username passes from one to "
     "another), or drop it"},
    {"promise", Severity::kAdvisory, "no constraint that old rows may break",
     "NOT VALID constraints",
     "who breaks one can't be updated: see that nobody does, and VALIDATE "
     "CONSTRAINT, or"},
    {"parent", Severity::kAdvisory, "no table that it inherits from",
     "inherits from", "its columns can't be altered"},
    {"extension", Severity::kAdvisory, "a table that no extension owns",
     "owned by the extension",
     "backups by pg_dump leave it out, and it goes when the extension goes"},
    {"no encoding", Severity::kAdvisory, "a database in UTF8", "encoding",
     "it may hold text that can't be read; move with pg_dump and psql into "
     "one that can't"},
    {"other collation", Severity::kAdvisory,
     "values that differ if they differ", "nondeterministic collation of",
     "a change that it does not see is not stored"},
};

}  // namespace

absl::StatusOr<std::vector<Breach>> FindMeddlers(
    postgres::Session& session, const absl::optional<std::string>& oid,
    const absl::optional<std::string>& role) {
  postgres::ArrayLiteral columns;
  postgres::ArrayLiteral names;
  for (const Column& column : UsersContract().columns) {
    columns.AppendText(column.name);
  }
  for (const Index& index : UsersContract().indexes) {
    names.AppendText(index.name);
  }
  names.AppendText("userprofile_never_null");  // of migration 012
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      session.Execute(kFindMeddlers,
                      {oid, role, columns.Finish(), names.Finish()}));
  std::vector<Breach> breaches;
  for (const Kind& kind : kKinds) {
    std::string found;
    std::string sql;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (rows.Text(i, InMeddlers::kKind) != kind.name) continue;
      absl::StrAppend(&found, found.empty() ? kind.found : "",
                      found.empty() ? ": " : ", ",
                      rows.Text(i, InMeddlers::kName));
      absl::StrAppend(&sql, sql.empty() ? "" : "; ",
                      rows.Text(i, InMeddlers::kRemedy));
    }
    if (found.empty()) continue;
    const bool is_right = kind.advice == nullptr;
    breaches.push_back(
        {kind.severity, is_right ? Fault::kRightsMissing : Fault::kForPerson,
         is_right ? "rights on sequences" : UsersContract().table,
         kind.expected, found,
         is_right ? sql : absl::StrCat(kByPerson, kind.advice, ": ", sql)});
  }
  return breaches;
}

}  // namespace userprofile::schema
