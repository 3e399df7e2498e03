#include "server/schema/history.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/status_macros.h"

namespace userprofile::schema {
namespace {

constexpr postgres::Statement kFindHistory = {
    "find_migration_history",
    "SELECT has_table_privilege(to_regclass('userprofile_migrations')::oid,"
    " 'SELECT')"};  // NULL if there is none

constexpr postgres::Statement kReadHistory = {
    "read_migration_history",
    "SELECT version, name, sha256,"
    " to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
    " FROM userprofile_migrations ORDER BY version"};

constexpr postgres::Statement kRecordMigration = {
    "record_migration",
    "INSERT INTO userprofile_migrations (version, name, sha256)"
    " VALUES ($1::integer, $2, $3) ON CONFLICT (version) DO NOTHING"};

constexpr char kCreateHistory[] = R"sql(
DO $$
DECLARE
  schema_name text;
BEGIN
  IF to_regclass('userprofile_migrations') IS NOT NULL THEN
    RETURN;
  END IF;
  SELECT nspname INTO schema_name
  FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE pg_class.oid = to_regclass('users');
  IF coalesce(schema_name, current_schema()) IS NULL THEN
    RAISE EXCEPTION 'no schema of the search path (%) exists; create one',
      current_setting('search_path')
      USING ERRCODE = 'UP001';
  END IF;
  EXECUTE format(
    'CREATE TABLE %I.userprofile_migrations ('
    ' version integer PRIMARY KEY,'
    ' name text NOT NULL,'
    ' sha256 text NOT NULL,'
    ' applied_at timestamptz NOT NULL DEFAULT now())',
    coalesce(schema_name, current_schema()));
END
$$)sql";

}  // namespace

const char* ToString(MigrationState state) {
  switch (state) {
    case MigrationState::kPending:
      return "pending";
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

absl::StatusOr<std::vector<MigrationStatus>> ReadMigrationStatus(
    postgres::Session& session,
    absl::Span<const migrations::Migration> migrations) {
  std::map<int, MigrationStatus> by_version;
  for (const migrations::Migration& migration : migrations) {
    by_version[migration.version] = {migration.version,
                                     std::string(migration.name),
                                     MigrationState::kPending, ""};
  }

  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows found,
                               session.Execute(kFindHistory, {}));
  postgres::Rows rows;
  if (!found.IsNull(0, 0)) {
    if (!found.Bool(0, 0)) {
      return absl::FailedPreconditionError(
          "this role may not read the table userprofile_migrations; "
          "GRANT SELECT ON userprofile_migrations TO ...");
    }
    USERPROFILE_ASSIGN_OR_RETURN(rows, session.Execute(kReadHistory, {}));
  }

  for (std::size_t i = 0; i < rows.size(); ++i) {
    const int version = static_cast<int>(rows.Int64(i, 0));
    MigrationState state = MigrationState::kUnknown;
    for (const migrations::Migration& migration : migrations) {
      if (migration.version != version) continue;
      state = migration.sha256 == rows.Text(i, 2) ? MigrationState::kApplied
                                                  : MigrationState::kChanged;
    }
    by_version[version] = {version, std::string(rows.Text(i, 1)), state,
                           std::string(rows.Text(i, 3))};
  }

  std::vector<MigrationStatus> result;
  for (auto& [version, status] : by_version) {
    result.push_back(std::move(status));
  }
  return result;
}

absl::Status CreateHistory(postgres::Session& session) {
  return session.ExecuteScript(kCreateHistory).status();
}

absl::StatusOr<bool> RecordMigration(postgres::Session& session,
                                     const migrations::Migration& migration) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rows,
      session.Execute(kRecordMigration, {absl::StrCat(migration.version),
                                         std::string(migration.name),
                                         std::string(migration.sha256)}));
  return rows.affected() == 1;
}

}  // namespace userprofile::schema
