#include "server/schema/own_tables.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "server/postgres/table_names.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {

const std::array<OwnTable, 2> kOwnTables = {{
    // A change is found by the transaction that made it, for those of a
    // transaction that still runs may come before others that are there. A kind
    // is 'w' for what was written, 'c' for a contact that changed nothing,
    // where such are recorded, 'd' for a user who was deleted, and 'b' for the
    // beginning: nobody's change, so that there is one to go on from. The index
    // says whether somebody was deleted later, and is not written to by others.
    {
        kChangesTable,
        "the table of changes",
        "every contact",
        Severity::kBlocking,
        "SELECT, INSERT, DELETE",
        "xid xid8, user_id bigint, revision bigint, kind \"char\", changed_at "
        "timestamp with time zone",
        "xid, user_id, revision",
        "pg_current_xact_id()",
        R"sql({"(user_id, xid)%WHERE (kind = 'd'::\"char\")"})sql",
        "CREATE TABLE :schema.userprofile_changes ("
        "xid xid8 NOT NULL DEFAULT pg_current_xact_id(), user_id bigint NOT "
        "NULL, revision bigint NOT NULL, kind \"char\" NOT NULL, changed_at "
        "timestamptz NOT NULL, PRIMARY KEY (xid, user_id, revision)); "
        "CREATE INDEX ON :schema.userprofile_changes (user_id, xid) "
        "WHERE kind = 'd'; "
        "INSERT INTO :schema.userprofile_changes (user_id, revision, kind, "
        "changed_at) VALUES (0, 0, 'b', statement_timestamp())",
    },
    // Compared byte by byte, and kept in that order. The indexes say whose
    // sessions go with a user who is deleted, and which have expired; those of
    // neither kind are written to without a look at an index.
    {
        kSessionsTable,
        "the table of sessions",
        "every call of a session",
        Severity::kAdvisory,
        "SELECT, INSERT, UPDATE, DELETE",
        "bot text, key text, value bytea, revision bigint, updated_at "
        "timestamp with time zone, expires_at timestamp with time zone, "
        "user_id bigint",
        "bot, key",
        nullptr,
        R"sql({"(user_id) WHERE (user_id IS NOT NULL)",)sql"
        R"sql("(expires_at) WHERE (expires_at IS NOT NULL)"})sql",
        "CREATE TABLE :schema.userprofile_sessions ("
        "bot text COLLATE \"C\" NOT NULL, key text COLLATE \"C\" NOT NULL, "
        "value bytea NOT NULL, revision bigint NOT NULL, updated_at "
        "timestamptz "
        "NOT NULL, expires_at timestamptz, user_id bigint, "
        "PRIMARY KEY (bot, key)) WITH (fillfactor = 85); "
        "CREATE INDEX ON :schema.userprofile_sessions (user_id) "
        "WHERE user_id IS NOT NULL; "
        "CREATE INDEX ON :schema.userprofile_sessions (expires_at) "
        "WHERE expires_at IS NOT NULL",
    },
}};

const OwnTable* FindOwnTable(absl::string_view name) {
  const auto* found =
      std::find_if(kOwnTables.begin(), kOwnTables.end(),
                   [&](const OwnTable& table) { return table.name == name; });
  return found == kOwnTables.end() ? nullptr : found;
}

const postgres::Statement kReadOwnTable = {
    "read_own_table",
    "SELECT CASE WHEN h.oid IS NULL THEN 'missing'"
    "  WHEN h.relkind <> 'r' OR h.relpersistence <> 'p'"
    "   OR (SELECT string_agg(format('%s %s', attname,"
    "     format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)"
    "    FROM pg_attribute WHERE attrelid = h.oid AND attnum > 0"
    "     AND NOT attisdropped) <> $5::text"
    "   OR NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = h.oid"
    "    AND pg_get_constraintdef(oid) = format('PRIMARY KEY (%s)', $6::text))"
    "   OR $7::text IS NOT NULL"
    "    AND NOT EXISTS (SELECT FROM pg_attrdef WHERE adrelid = h.oid"
    "     AND pg_get_expr(adbin, adrelid) = $7)"
    "   OR EXISTS (SELECT FROM unnest($8::text[]) AS pattern"
    "    WHERE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = h.oid"
    "     AND indisvalid AND NOT indisunique AND pg_get_indexdef(indexrelid)"
    "      LIKE '% USING btree ' || pattern))"
    "   THEN 'another table'"
    "  WHEN NOT (pg_has_role(h.relowner, u.relowner, 'MEMBER')"
    "   OR h.relowner = r.oid OR has_database_privilege(h.relowner,"
    "    current_database(), 'CREATE'))"
    "   THEN format('a table of %I', pg_get_userbyid(h.relowner))"
    "  END,"
    " (SELECT string_agg(needed, ', ')"
    "  FROM unnest($4::text[]) AS needed"
    "  WHERE NOT has_table_privilege(r.oid, h.oid, needed)),"
    " EXISTS (SELECT FROM pg_trigger WHERE tgrelid = h.oid)"
    "  OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = h.oid)"
    "  OR num_nonnulls($7::text)"
    "   < (SELECT count(*) FROM pg_attrdef WHERE adrelid = h.oid)"
    "  OR EXISTS (SELECT FROM pg_constraint WHERE conrelid = h.oid"
    "   AND contype NOT IN ('p', 'n'))"
    "  OR 1 + cardinality($8::text[])"
    "   < (SELECT count(*) FROM pg_index WHERE indrelid = h.oid"
    "    AND indisvalid),"
    " coalesce(h.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls"
    "  OR pg_has_role(r.oid, h.relowner, 'USAGE')"
    "  AND NOT h.relforcerowsecurity), false)"
    " FROM pg_roles AS r JOIN pg_class AS u ON u.oid = $1::oid"
    " LEFT JOIN pg_class AS h ON h.relnamespace = u.relnamespace"
    "  AND h.relname = $3::name"
    " WHERE r.rolname = coalesce($2::name, current_user)"};

postgres::Parameters OwnTableParameters(const OwnTable& table) {
  postgres::Parameters parameters = {
      table.name,    absl::StrCat("{", table.rights, "}"),
      table.columns, table.key,
      absl::nullopt, table.indexes};
  if (table.the_default != nullptr) parameters[4] = table.the_default;
  return parameters;
}

std::string ShareOwnTable(const OwnTable& table, absl::string_view schema) {
  // Names within dollars are left as they are.
  return absl::Substitute(
      "DO $$$$ BEGIN EXECUTE (SELECT coalesce(string_agg(concat('GRANT $0 ON "
      "', $1, '.$3 TO ', quote_ident(rolname)), '; '), 'SELECT') "
      "FROM pg_class AS h, aclexplode(relacl) JOIN pg_roles AS r ON r.oid = "
      "grantee WHERE h.oid = to_regclass($1 || '.userprofile_migrations') AND "
      "privilege_type = 'SELECT' AND has_table_privilege(r.oid, $2::regclass, "
      "'INSERT')); END $$$$",
      table.rights, postgres::NameTables(":'schema'", schema),
      postgres::NameTables(":'users'", schema), table.name);
}

std::vector<Breach> JudgeOwnTable(const OwnTable& table,
                                  const CatalogOwnTable& found,
                                  absl::string_view role) {
  const std::string grant = absl::StrCat("GRANT ", table.rights, " ON :schema.",
                                         table.name, " TO ", role);
  if (found.fault == kMissing) {
    return {{table.if_wrong, Fault::kTableMissing, table.name, table.what,
             kMissing, absl::StrCat(table.create, "; ", grant)}};
  }
  if (!found.fault.empty()) {
    return {
        {table.if_wrong, Fault::kForPerson, table.name, table.what, found.fault,
         absl::StrCat(kByPerson,
                      "set it aside, then run 'userprofile-server schema "
                      "repair': ALTER TABLE :schema.",
                      table.name, " RENAME TO ", table.name, "_set_aside")}};
  }
  std::vector<Breach> breaches;
  if (found.hides_rows) {
    breaches.push_back(
        {table.if_wrong, Fault::kForPerson, table.name,
         "all rows for the service", "row-level security hides rows",
         absl::StrCat(kByPerson, "ALTER TABLE :schema.", table.name,
                      " DISABLE ROW LEVEL SECURITY; or give the role "
                      "BYPASSRLS")});
  }
  if (!found.lacks_rights.empty()) {
    // Contacts, which add rows, go on without the others.
    const bool blocks = absl::StrContains(found.lacks_rights, "INSERT");
    breaches.push_back({blocks ? table.if_wrong : Severity::kAdvisory,
                        Fault::kRightsMissing,
                        absl::StrCat("rights on ", table.name), table.rights,
                        absl::StrCat("no ", found.lacks_rights), grant});
  }
  if (found.has_more) {
    breaches.push_back(
        {Severity::kAdvisory, Fault::kForPerson, table.name, table.what,
         "triggers, rules, defaults, constraints or indexes of others",
         absl::StrCat(kByPerson,
                      "look whether they are wanted: they are part "
                      "of ",
                      table.part_of, ", and one that fails fails it")});
  }
  return breaches;
}

}  // namespace userprofile::schema
