#include "server/schema/history.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/substitute.h"
#include "base/error_info.h"
#include "base/status_macros.h"

namespace userprofile::schema {
namespace {

// Where the history is or will be, by its quoted name (NULL if there is no
// schema for it); whether it is there, may be read, has all columns; the search
// path that was configured; why it is not to be used, or NULL. Else whoever may
// create a table where ours will be could have what a trigger, a default, a
// check or the cast of a column's type calls run by whoever migrates.
//
// Its owner has to be one who may do as the owner of users does, or as this
// role: so every superuser, too.
constexpr postgres::Statement kFindHistory = {
    "find_migration_history",
    "SELECT :'schema' || '.userprofile_migrations', h.oid IS NOT NULL,"
    " coalesce(has_table_privilege(h.oid, 'SELECT'), false),"
    " (SELECT count(*) = 5 FROM pg_attribute WHERE attrelid = h.oid"
    "  AND NOT attisdropped AND attname IN ('started_at', 'duration_ms',"
    "   'role', 'tool_version', 'baseline')),"
    " (SELECT reset_val FROM pg_settings WHERE name = 'search_path'),"
    " CASE WHEN h.relkind <> 'r' OR 4 > (SELECT count(*) FROM pg_attribute"
    "   WHERE attrelid = h.oid AND NOT attisdropped AND attname IN ('version',"
    "    'name', 'sha256', 'applied_at'))"
    "  THEN 'is no history of this service''s migrations'"
    "  WHEN NOT (pg_has_role(h.relowner, coalesce(u.relowner, r.oid), 'MEMBER')"
    "   OR h.relowner = r.oid) THEN format("
    "   'belongs to %I, who is not the owner of users, nor a superuser',"
    "    pg_get_userbyid(h.relowner))"
    "  WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = h.oid"
    "   AND NOT tgisinternal) THEN 'has triggers'"
    "  WHEN EXISTS (SELECT FROM pg_rewrite WHERE ev_class = h.oid)"
    "   THEN 'has rules'"
    // PostgreSQL's own are pinned, and not in pg_depend.
    "  WHEN EXISTS (SELECT FROM pg_depend AS d"
    "   LEFT JOIN pg_attrdef AS a ON a.tableoid = classid AND a.oid = objid"
    "   LEFT JOIN pg_constraint AS c ON c.tableoid = classid AND c.oid = objid"
    "   LEFT JOIN pg_index AS i ON classid = 'pg_class'::regclass"
    "    AND indexrelid = objid"
    "   WHERE refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass,"
    "     'pg_type'::regclass, 'pg_opclass'::regclass)"
    "    AND (h.oid IN (adrelid, conrelid, indrelid)"
    "     OR classid = 'pg_class'::regclass AND objid = h.oid))"
    "   THEN 'has defaults, checks or types that are not PostgreSQL''s own' "
    "END,"
    " u.oid IS NULL"
    " FROM pg_roles AS r"
    " LEFT JOIN pg_class AS u ON u.oid = to_regclass(:'users')"
    " LEFT JOIN pg_class AS h ON h.relnamespace = to_regnamespace(:'schema')"
    "  AND h.relname = 'userprofile_migrations'"
    " WHERE r.rolname = current_user"};

// An older history lacks some of the columns.
constexpr char kRead[] =
    "SELECT version, name, sha256,"
    " to_char(applied_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
    " to_char((to_jsonb(h) ->> 'started_at')::timestamptz,"
    "  'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
    " to_jsonb(h) ->> 'duration_ms', to_jsonb(h) ->> 'role',"
    " to_jsonb(h) ->> 'tool_version', to_jsonb(h) ->> 'baseline' = 'true'"
    " FROM $0 AS h ORDER BY version";

constexpr char kCreate[] =
    "CREATE TABLE $0 ("
    " version integer PRIMARY KEY,"
    " name text NOT NULL,"
    " sha256 text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now())";

// NULL is what a program writes that does not know of them.
constexpr char kExtend[] =
    "ALTER TABLE $0"
    " ADD COLUMN IF NOT EXISTS started_at timestamptz,"
    " ADD COLUMN IF NOT EXISTS duration_ms bigint,"
    " ADD COLUMN IF NOT EXISTS role text,"
    " ADD COLUMN IF NOT EXISTS tool_version text,"
    " ADD COLUMN IF NOT EXISTS baseline boolean";

constexpr char kRecord[] =
    "INSERT INTO $0 AS h (version, name, sha256, applied_at, started_at,"
    "  duration_ms, role, tool_version, baseline)"
    " VALUES ($$1::integer, $$2, $$3, clock_timestamp(),"
    "  clock_timestamp() - $$4::bigint * interval '1 ms', $$4::bigint,"
    "  current_user, $$5, $$6::boolean)"
    " ON CONFLICT (version) DO UPDATE SET (name, sha256, applied_at, "
    "started_at,"
    "  duration_ms, role, tool_version, baseline) = (excluded.name,"
    "  excluded.sha256, excluded.applied_at, excluded.started_at,"
    "  excluded.duration_ms, excluded.role, excluded.tool_version, true)"
    " WHERE excluded.baseline";

// Before anything is read from or added to somebody else's table. Not to be
// given to the owner of users: it would keep what it calls.
absl::Status CheckThatItIsOurs(const postgres::Rows& found) {
  if (!found.Bool(0, 1) || found.IsNull(0, 5)) return absl::OkStatus();
  const absl::string_view table = found.Text(0, 0);
  // Without it nobody would know that there were users, and they would be new.
  const bool no_users = found.Bool(0, 6);
  return absl::FailedPreconditionError(absl::StrCat(
      "the table ", table, " ", found.Text(0, 5), "; ",
      no_users ? "and there is no table users, which it tells was there: "
                 "restore a backup ('userprofile-server backup restore FILE'); "
                 "or, if users shall begin empty, DROP TABLE "
               : "rename it: ALTER TABLE ",
      table, no_users ? "" : " RENAME TO ..."));
}

}  // namespace

const char* ToString(MigrationState state) {
  switch (state) {
    case MigrationState::kPending:
      return "pending";
    case MigrationState::kLate:
      return "late";
    case MigrationState::kApplied:
      return "applied";
    case MigrationState::kChanged:
      return "changed";
    case MigrationState::kUnknown:
      return "unknown";
  }
  return "";
}

std::string Label(int version, absl::string_view name) {
  return absl::StrFormat("%03d_%s", version, name);
}

bool IsToDo(MigrationState state) {
  return state == MigrationState::kPending || state == MigrationState::kLate;
}

std::string Explain(const MigrationStatus& status) {
  std::string label = Label(status.version, status.name);
  switch (status.state) {
    case MigrationState::kPending:
      return absl::StrCat(label, " is pending");
    case MigrationState::kLate:
      return absl::StrCat(label,
                          " is pending although later ones were applied: its "
                          "file came after them; if it can run after them, say "
                          "'migrate up --out-of-order'");
    case MigrationState::kApplied:
      return absl::StrCat(label, " was applied");
    case MigrationState::kChanged:
      return absl::StrCat(label,
                          " was applied with other contents than this "
                          "version's; if the database is right as it is, "
                          "'migrate baseline' takes it as such");
    case MigrationState::kUnknown:
      return absl::StrCat(label,
                          " was applied by another version of this program, "
                          "perhaps a newer one");
  }
  return label;
}

absl::StatusOr<std::vector<MigrationStatus>> ReadMigrationStatus(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations) {
  std::map<int, MigrationStatus> by_version;
  for (const migrations::Migration& migration : migrations) {
    by_version[migration.version] = {migration.version,
                                     std::string(migration.name),
                                     MigrationState::kPending};
  }

  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows found,
                               session.Execute(kFindHistory, {}));
  USERPROFILE_RETURN_IF_ERROR(CheckThatItIsOurs(found));
  postgres::Rows rows;
  if (found.Bool(0, 1)) {
    const absl::string_view table = found.Text(0, 0);
    if (!found.Bool(0, 2)) {
      return absl::FailedPreconditionError(
          absl::StrCat("this role may not read the table ", table,
                       "; GRANT SELECT ON ", table, " TO ..."));
    }
    USERPROFILE_ASSIGN_OR_RETURN(
        rows, session.ExecuteScript(absl::Substitute(kRead, table)));
  }

  for (std::size_t i = 0; i < rows.size(); ++i) {
    MigrationStatus status{static_cast<int>(rows.Int64(i, 0)),
                           std::string(rows.Text(i, 1)),
                           MigrationState::kUnknown};
    for (const migrations::Migration& migration : migrations) {
      if (migration.version != status.version) continue;
      status.state = migration.sha256 == rows.Text(i, 2)
                         ? MigrationState::kApplied
                         : MigrationState::kChanged;
    }
    status.applied_at = std::string(rows.Text(i, 3));
    status.started_at = std::string(rows.Text(i, 4));
    if (!rows.IsNull(i, 5)) status.duration_ms = rows.Int64(i, 5);
    status.role = std::string(rows.Text(i, 6));
    status.tool_version = std::string(rows.Text(i, 7));
    status.baseline = rows.Bool(i, 8);
    by_version[status.version] = std::move(status);
  }

  std::vector<MigrationStatus> result;
  for (auto& [version, status] : by_version) {
    result.push_back(std::move(status));
  }
  bool later_applied = false;
  std::for_each(result.rbegin(), result.rend(), [&](MigrationStatus& status) {
    if (status.state != MigrationState::kPending) {
      later_applied = true;
    } else if (later_applied) {
      status.state = MigrationState::kLate;
    }
  });
  return result;
}

absl::StatusOr<std::string> OpenHistory(postgres::Session& session) {
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows found,
                               session.Execute(kFindHistory, {}));
  if (found.IsNull(0, 0)) {
    return absl::FailedPreconditionError(
        absl::StrCat("no schema of the search path (", found.Text(0, 4),
                     ") exists; create one"));
  }
  USERPROFILE_RETURN_IF_ERROR(CheckThatItIsOurs(found));
  const absl::string_view table = found.Text(0, 0);
  if (!found.Bool(0, 1)) {
    USERPROFILE_RETURN_IF_ERROR(
        session.ExecuteScript(absl::Substitute(kCreate, table)).status());
  }
  if (!found.Bool(0, 3)) {
    USERPROFILE_RETURN_IF_ERROR(
        session.ExecuteScript(absl::Substitute(kExtend, table)).status());
  }
  return std::string(table);
}

absl::StatusOr<bool> RecordMigration(postgres::Session& session,
                                     const std::string& history,
                                     const migrations::Migration& migration,
                                     absl::Duration elapsed,
                                     const std::string& tool_version,
                                     bool baseline) {
  const std::string sql = absl::Substitute(kRecord, history);
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      session.Execute(
          {"record_migration", sql.c_str()},
          {absl::StrCat(migration.version), std::string(migration.name),
           std::string(migration.sha256),
           absl::StrCat(absl::ToInt64Milliseconds(elapsed)), tool_version,
           baseline ? "true" : "false"}));
  return rows.affected() == 1;
}

}  // namespace userprofile::schema
