#include "server/schema/changes_table.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "server/postgres/table_names.h"
#include "server/schema/remedies.h"

namespace userprofile::schema {
namespace {

constexpr char kChangesRights[] = "SELECT, INSERT, DELETE";

}  // namespace

// A change is found by the transaction that made it, for those of a transaction
// that still runs may come before others that are there. A kind is 'w' for what
// was written, 'c' for a contact that changed nothing, where such are recorded,
// 'd' for a user who was deleted, and 'b' for the beginning: nobody's change,
// so that there is one to go on from. The index says whether somebody was
// deleted later, and is not written to by others.
const char kCreateChanges[] =
    "CREATE TABLE :schema.userprofile_changes ("
    "xid xid8 NOT NULL DEFAULT pg_current_xact_id(), user_id bigint NOT NULL, "
    "revision bigint NOT NULL, kind \"char\" NOT NULL, changed_at timestamptz "
    "NOT NULL, PRIMARY KEY (xid, user_id, revision)); "
    "CREATE INDEX ON :schema.userprofile_changes (user_id, xid) "
    "WHERE kind = 'd'; "
    "INSERT INTO :schema.userprofile_changes (user_id, revision, kind, "
    "changed_at) VALUES (0, 0, 'b', statement_timestamp())";

const postgres::Statement kReadChanges = {
    "read_changes_table",
    "SELECT CASE WHEN h.oid IS NULL THEN 'missing'"
    "  WHEN h.relkind <> 'r' OR h.relpersistence <> 'p'"
    "   OR (SELECT string_agg(format('%s %s', attname,"
    "     format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)"
    "    FROM pg_attribute WHERE attrelid = h.oid AND attnum > 0"
    "     AND NOT attisdropped) <> 'xid xid8, user_id bigint, revision bigint,"
    " kind \"char\", changed_at timestamp with time zone'"
    "   OR NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = h.oid"
    "    AND pg_get_constraintdef(oid) = 'PRIMARY KEY (xid, user_id, "
    "revision)')"
    "   OR NOT EXISTS (SELECT FROM pg_attrdef WHERE adrelid = h.oid"
    "    AND pg_get_expr(adbin, adrelid) = 'pg_current_xact_id()')"
    "   OR NOT EXISTS (SELECT FROM pg_index WHERE indrelid = h.oid"
    "    AND indisvalid AND NOT indisunique AND pg_get_indexdef(indexrelid)"
    "     LIKE '% USING btree (user_id, xid)%WHERE (kind = ''d''::\"char\")')"
    "   THEN 'another table'"
    "  WHEN NOT (pg_has_role(h.relowner, u.relowner, 'MEMBER')"
    "   OR h.relowner = r.oid OR has_database_privilege(h.relowner,"
    "    current_database(), 'CREATE'))"
    "   THEN format('a table of %I', pg_get_userbyid(h.relowner))"
    "  END,"
    " (SELECT string_agg(needed, ', ')"
    "  FROM unnest('{SELECT,INSERT,DELETE}'::text[]) AS needed"
    "  WHERE NOT has_table_privilege(r.oid, h.oid, needed)),"
    " EXISTS (SELECT FROM pg_trigger WHERE tgrelid = h.oid)"
    "  OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = h.oid)"
    "  OR 1 < (SELECT count(*) FROM pg_attrdef WHERE adrelid = h.oid)"
    "  OR EXISTS (SELECT FROM pg_constraint WHERE conrelid = h.oid"
    "   AND contype NOT IN ('p', 'n'))"
    "  OR 2 < (SELECT count(*) FROM pg_index WHERE indrelid = h.oid"
    "   AND indisvalid),"
    " coalesce(h.relrowsecurity AND NOT (r.rolsuper OR r.rolbypassrls"
    "  OR pg_has_role(r.oid, h.relowner, 'USAGE')"
    "  AND NOT h.relforcerowsecurity), false)"
    " FROM pg_roles AS r JOIN pg_class AS u ON u.oid = $1::oid"
    " LEFT JOIN pg_class AS h ON h.relnamespace = u.relnamespace"
    "  AND h.relname = 'userprofile_changes'"
    " WHERE r.rolname = coalesce($2::name, current_user)"};

std::string ShareChanges(absl::string_view schema) {
  // Names within dollars are left as they are.
  return absl::Substitute(
      "DO $$$$ BEGIN EXECUTE (SELECT coalesce(string_agg(concat('GRANT $0 ON "
      "', "
      "$1, '.userprofile_changes TO ', quote_ident(rolname)), '; '), 'SELECT') "
      "FROM pg_class AS h, aclexplode(relacl) JOIN pg_roles AS r ON r.oid = "
      "grantee WHERE h.oid = to_regclass($1 || '.userprofile_migrations') AND "
      "privilege_type = 'SELECT' AND has_table_privilege(r.oid, $2::regclass, "
      "'INSERT')); END $$$$",
      kChangesRights, postgres::NameTables(":'schema'", schema),
      postgres::NameTables(":'users'", schema));
}

std::vector<Breach> JudgeChanges(const CatalogChanges& changes,
                                 absl::string_view role) {
  constexpr char kExpected[] = "the table of changes";
  const std::string grant = absl::StrCat(
      "GRANT ", kChangesRights, " ON :schema.userprofile_changes TO ", role);
  if (changes.fault == kMissing) {
    return {{Severity::kBlocking, Fault::kTableMissing, kChangesTable,
             kExpected, kMissing, absl::StrCat(kCreateChanges, "; ", grant)}};
  }
  if (!changes.fault.empty()) {
    return {{Severity::kBlocking, Fault::kForPerson, kChangesTable, kExpected,
             changes.fault,
             absl::StrCat(kByPerson,
                          "set it aside, then run 'userprofile-server schema "
                          "repair': ALTER TABLE :schema.userprofile_changes "
                          "RENAME TO userprofile_changes_set_aside")}};
  }
  std::vector<Breach> breaches;
  if (changes.hides_rows) {
    breaches.push_back(
        {Severity::kBlocking, Fault::kForPerson, kChangesTable,
         "all rows for the service", "row-level security hides rows",
         absl::StrCat(kByPerson,
                      "ALTER TABLE :schema.userprofile_changes DISABLE ROW "
                      "LEVEL SECURITY; or give the role BYPASSRLS")});
  }
  if (!changes.lacks_rights.empty()) {
    // Contacts go on without the others: they are for who watches.
    const bool blocks = absl::StrContains(changes.lacks_rights, "INSERT");
    breaches.push_back(
        {blocks ? Severity::kBlocking : Severity::kAdvisory,
         Fault::kRightsMissing, absl::StrCat("rights on ", kChangesTable),
         kChangesRights, absl::StrCat("no ", changes.lacks_rights), grant});
  }
  if (changes.has_more) {
    breaches.push_back(
        {Severity::kAdvisory, Fault::kForPerson, kChangesTable, kExpected,
         "triggers, rules, defaults, constraints or indexes of others",
         absl::StrCat(kByPerson,
                      "look whether they are wanted: they are part of every "
                      "contact, and one that fails fails the contact")});
  }
  return breaches;
}

}  // namespace userprofile::schema
