#include "server/schema/backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "server/postgres/binaries.h"
#include "server/postgres/conninfo.h"
#include "server/postgres/process.h"
#include "server/postgres/table_names.h"
#include "server/schema/archive.h"
#include "server/schema/ddl.h"
#include "server/schema/inspector.h"
#include "server/schema/obstacles.h"
#include "server/schema/own_tables.h"

namespace userprofile::schema {
namespace {

// What is where the tables of an archive, of the schema $1, are to go.
constexpr postgres::Statement kFindTarget = {
    "find_target",
    "SELECT quote_ident($1), $1::name ="
    " ANY (current_setting('userprofile.schemas')::name[]),"
    " to_regclass(quote_ident($1) || '.users') IS NOT NULL,"
    " to_regclass(quote_ident($1) || '.userprofile_migrations') IS NOT NULL,"
    " (SELECT quote_ident(nspname) FROM pg_class"
    "  JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    "  WHERE pg_class.oid = to_regclass(:'users') AND nspname <> $1::name),"
    " 'userprofile_replaced_'"
    "  || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS_US')"};

// Who may do what with the tables $2 of schema $1 and their sequences, as
// statements, for others of those names: owners, rights on tables and columns
// with their grant options, row security. What a default right of the database
// gave to the new ones is taken away. Rights on what the archive does not have,
// a column say, are passed over; a policy never is.
constexpr postgres::Statement kRights = {"table_rights", R"sql(
WITH given AS (
  SELECT c.oid, relowner, relacl, relrowsecurity, relforcerowsecurity,
    relkind = 'S' AS may_lack,
    CASE relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END
      || format('%I.%I', $1::text, relname) AS object
  FROM pg_class AS c
  WHERE relnamespace = to_regnamespace(quote_ident($1))
    AND (relname = ANY ($2::text[]) OR relkind = 'S' AND EXISTS (
      SELECT FROM pg_depend AS d JOIN pg_class AS t ON t.oid = d.refobjid
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
        AND d.deptype IN ('a', 'i') AND t.relnamespace = c.relnamespace
        AND t.relname = ANY ($2::text[])))),
granted AS (
  SELECT object, may_lack, '' AS attributes, a.*
  FROM given, aclexplode(coalesce(relacl, acldefault(
    CASE WHEN may_lack THEN 's'::"char" ELSE 'r' END, relowner))) AS a
  UNION ALL
  SELECT object, true, format('(%I)', attname), a.*
  FROM given JOIN pg_attribute ON attrelid = given.oid AND NOT attisdropped,
    aclexplode(attacl) AS a),
statements AS (
  SELECT 1 AS rank, false AS may_lack,
    format('ALTER %s OWNER TO %I', object, pg_get_userbyid(relowner)) AS sql
  FROM given WHERE NOT may_lack
  UNION ALL
  SELECT 2, true, format(
    'EXECUTE (SELECT coalesce(string_agg(%L || CASE grantee WHEN 0 THEN '
    '''PUBLIC'' ELSE quote_ident(pg_get_userbyid(grantee)) END, ''; ''), '
    '''SELECT'') FROM pg_class, aclexplode(relacl) WHERE oid = %L::regclass)',
    'REVOKE ALL ON ' || object || ' FROM ',
    substr(object, 1 + strpos(object, ' ')))
  FROM given
  UNION ALL
  SELECT 3, may_lack, format('GRANT %s %s ON %s TO %s%s', privilege_type,
    attributes, object, CASE grantee WHEN 0 THEN 'PUBLIC'
      ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
  FROM granted
  UNION ALL
  SELECT 4, false, format('ALTER %s %s ROW LEVEL SECURITY', object, word)
  FROM given, LATERAL (VALUES (relrowsecurity, 'ENABLE'),
    (relforcerowsecurity, 'FORCE')) AS security (is_on, word)
  WHERE is_on
  UNION ALL
  SELECT 5, false, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s',
    polname, substr(object, 1 + strpos(object, ' ')),
    CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT'
      WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC'
       ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
     FROM unnest(polroles) AS r),
    ' USING (' || pg_get_expr(polqual, polrelid) || ')',
    ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')')
  FROM given JOIN pg_policy ON polrelid = given.oid)
SELECT coalesce(string_agg(CASE WHEN may_lack
  THEN format('DO %L', format('BEGIN %s; EXCEPTION WHEN undefined_column '
    'OR undefined_table THEN NULL; END', sql))
  ELSE sql END || ';', E'\n' ORDER BY rank), '')
FROM statements
)sql"};

// What hangs on the table users of schema $1, and will not on the restored one.
constexpr postgres::Statement kTies = {"table_ties", R"sql(
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0)
FROM pg_class AS u
JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass
  AND d.refobjid = u.oid AND d.deptype IN ('n', 'a')
WHERE u.relname = 'users'
  AND u.relnamespace = to_regnamespace(quote_ident($1))
  AND (d.classid IN ('pg_rewrite'::regclass, 'pg_trigger'::regclass,
      'pg_publication_rel'::regclass, 'pg_proc'::regclass)
    OR EXISTS (SELECT FROM pg_constraint AS f
               WHERE d.classid = 'pg_constraint'::regclass
                 AND f.oid = d.objid AND f.contype = 'f')
    OR EXISTS (SELECT FROM pg_policy AS p
               WHERE d.classid = 'pg_policy'::regclass
                 AND p.oid = d.objid AND p.polrelid <> u.oid))
ORDER BY 1
)sql"};

absl::Status CannotWrite(const std::string& file, int error) {
  const std::string text = absl::StrCat("can't write ", file, ": ",
                                        std::generic_category().message(error));
  return error == EEXIST
             ? absl::AlreadyExistsError(absl::StrCat(
                   text, "; choose another name, nothing is overwritten"))
             : absl::FailedPreconditionError(text);
}

// A file that gets its name once it is complete and on disk.
class FileBeside {
 public:
  static absl::StatusOr<std::unique_ptr<FileBeside>> Create(
      const std::string& path) {
    auto file = std::unique_ptr<FileBeside>(new FileBeside(path));
    file->fd_ = mkostemp(file->part_.data(), O_CLOEXEC);  // for its owner only
    if (file->fd_ < 0) return CannotWrite(path, errno);
    return file;
  }

  ~FileBeside() {
    if (fd_ < 0) return;
    close(fd_);
    unlink(part_.c_str());
  }

  int fd() const { return fd_; }
  const std::string& part() const { return part_; }

  // Gives it a name, of the same folder; ALREADY_EXISTS if something has that.
  absl::Status Finish(const std::string& path) {
    if (fsync(fd_) != 0) return CannotWrite(path, errno);
    int failed = renameat2(AT_FDCWD, part_.c_str(), AT_FDCWD, path.c_str(),
                           RENAME_NOREPLACE);
    // There are file systems that can't do that, and others that can't link.
    if (failed != 0 && errno == EINVAL) {
      failed = link(part_.c_str(), path.c_str());
    }
    if (failed != 0) return CannotWrite(path, errno);
    std::string folder = std::filesystem::path(path).parent_path().string();
    if (folder.empty()) folder = ".";
    const int directory =
        open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const absl::Cleanup close_it = [&] { close(directory); };
    if (directory < 0 || fsync(directory) != 0) return CannotWrite(path, errno);
    return absl::OkStatus();
  }

 private:
  explicit FileBeside(const std::string& path)
      : part_(absl::StrCat(path, ".part-XXXXXX")) {}

  std::string part_;
  int fd_ = -1;
};

// With their pauses, a minute or two.
constexpr int kLockAttempts = 120;

absl::Status NeedsDecision(absl::string_view message) {
  return absl::FailedPreconditionError(
      absl::StrCat(message, "; nothing was changed"));
}

// What is done before the archive's own statements, in their transaction. The
// table is looked at again, under a lock: what was written since must not go
// lost.
std::string MakeRoom(const postgres::Rows& target, bool replace,
                     const std::string& moved_to) {
  const std::string schema(target.Text(0, 0));
  const std::string users = absl::StrCat(schema, ".users");
  const std::string history = absl::StrCat(schema, ".userprofile_migrations");
  const std::string changes = absl::StrCat(schema, ".", kChangesTable);
  std::string sql =
      absl::StrCat("SET search_path = ", postgres::kSafeSearchPath,
                   "; SET client_min_messages = error; SET lock_timeout = "
                   "'200ms';\n");
  if (target.Bool(0, 2)) {
    // In short attempts, for all traffic waits behind one. Whoever reads
    // changes looks for their users then.
    absl::StrAppend(
        &sql, "DO $userprofile$ BEGIN FOR attempt IN 1..", kLockAttempts,
        " LOOP BEGIN BEGIN LOCK TABLE ", changes,
        "; EXCEPTION WHEN undefined_table THEN NULL; END; LOCK TABLE ", users,
        "; RETURN; EXCEPTION WHEN lock_not_available THEN IF attempt = ",
        kLockAttempts,
        " THEN RAISE; END IF; END; PERFORM pg_sleep(0.25 + random() / 2); END "
        "LOOP; END $userprofile$;\n");
    if (!replace) {
      absl::StrAppend(
          &sql, "DO $userprofile$ BEGIN IF EXISTS (SELECT 1 FROM ", users,
          ") THEN RAISE 'users holds users by now' USING ERRCODE = 'UP001'; "
          "END IF; END $userprofile$;\n");
    }
  }
  const auto clear = [&](const std::string& table) {
    absl::StrAppend(
        &sql,
        replace ? absl::StrCat("ALTER TABLE ", table, " SET SCHEMA ", moved_to)
                : absl::StrCat("DROP TABLE ", table),
        ";\n");
  };
  if (replace) absl::StrAppend(&sql, "CREATE SCHEMA ", moved_to, ";\n");
  if (target.Bool(0, 2)) clear(users);
  if (target.Bool(0, 3)) clear(history);
  // Made again, so that nobody who watches goes on from before: what is
  // restored was not written as a change.
  absl::StrAppend(&sql, "DROP TABLE IF EXISTS ", changes, ";\n");
  return sql;
}

absl::StatusOr<postgres::Binaries> ProgramsFor(postgres::Session& session) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows version,
      session.ExecuteScript(
          "SELECT current_setting('server_version_num')::integer / 10000"));
  return postgres::FindClientPrograms(static_cast<int>(version.Int64(0, 0)));
}

absl::Status Dump(const postgres::SessionFactory& connect,
                  const std::string& conninfo, const FileBeside& target) {
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, connect());
  USERPROFILE_ASSIGN_OR_RETURN(
      const Catalog catalog, ReadCatalog(*session, migrations::Embedded(), ""));
  if (catalog.schema.empty()) {
    return absl::FailedPreconditionError(
        "there is no table users to back up; 'userprofile-server schema check' "
        "says more");
  }
  // Of others, pg_dump writes the definition only.
  if (catalog.kind != "r" || !catalog.Others("heir").empty()) {
    return absl::FailedPreconditionError(
        "users is a view, a partitioned or a foreign table, or other tables "
        "inherit from it: a backup of it would hold none of their rows; "
        "'userprofile-server schema check' says more");
  }
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Binaries programs,
                               ProgramsFor(*session));
  USERPROFILE_ASSIGN_OR_RETURN(postgres::ProgramConnection connection,
                               postgres::ForProgram(conninfo));

  postgres::Command command;
  command.words = {absl::StrCat(programs.folder, "/pg_dump"), "--format=custom",
                   "--no-password", "--lock-wait-timeout=600s",
                   absl::StrCat("--table=", catalog.schema, ".users")};
  if (catalog.has_history) {
    command.words.push_back(
        absl::StrCat("--table=", catalog.schema, ".userprofile_migrations"));
  }
  command.words.push_back(absl::StrCat("--dbname=", connection.conninfo));
  command.environment = std::move(connection.environment);
  command.output = target.fd();
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Outcome outcome,
      postgres::RunToEnd(std::move(command), [&] {
        return session->ExecuteScript("SELECT").status();
      }));
  if (outcome.exit_code != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the backup failed, there is none: ",
        outcome.output.empty()
            ? absl::StrCat("pg_dump ended with code ", outcome.exit_code)
            : FirstComplaint(outcome.output)));
  }
  const auto archive = Archive::Open(programs, target.part());
  if (!archive.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the backup failed, there is none: pg_dump left users out, as it does "
        "with a table that belongs to an extension (ALTER EXTENSION ... DROP "
        "TABLE users makes it one of its own): ",
        archive.status().message()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CreateBackup(const postgres::SessionFactory& connect,
                          const std::string& conninfo,
                          const std::string& file) {
  struct stat info = {};
  if (lstat(file.c_str(), &info) == 0) return CannotWrite(file, EEXIST);
  USERPROFILE_ASSIGN_OR_RETURN(const std::unique_ptr<FileBeside> target,
                               FileBeside::Create(file));
  USERPROFILE_RETURN_IF_ERROR(Dump(connect, conninfo, *target));
  return target->Finish(file);
}

absl::StatusOr<std::string> CreateBackupIn(
    const postgres::SessionFactory& connect, const std::string& conninfo,
    const std::string& folder, absl::Time time) {
  const std::string path = absl::StrCat(
      folder, "/users-",
      absl::FormatTime("%Y%m%dT%H%M%SZ", time, absl::UTCTimeZone()));
  USERPROFILE_ASSIGN_OR_RETURN(const std::unique_ptr<FileBeside> target,
                               FileBeside::Create(path));
  USERPROFILE_RETURN_IF_ERROR(Dump(connect, conninfo, *target));
  for (int n = 1;; ++n) {
    std::string file =
        absl::StrCat(path, n == 1 ? "" : absl::StrCat("-", n), ".dump");
    const absl::Status status = target->Finish(file);
    if (status.ok()) return file;
    if (!absl::IsAlreadyExists(status)) return status;
  }
}

absl::StatusOr<RestoreResult> RestoreBackup(
    const postgres::SessionFactory& connect, const std::string& conninfo,
    const std::string& file, const RestoreOptions& options) {
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, connect());
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Binaries programs,
                               ProgramsFor(*session));
  USERPROFILE_ASSIGN_OR_RETURN(const Archive archive,
                               Archive::Open(programs, file));
  USERPROFILE_ASSIGN_OR_RETURN(const auto lock, connect());
  USERPROFILE_RETURN_IF_ERROR(LockSchema(*lock, {}));

  USERPROFILE_RETURN_IF_ERROR(session->FindTables().status());
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows target,
      session->Execute(kFindTarget, {archive.schema()}));
  const std::string schema(target.Text(0, 0));
  USERPROFILE_RETURN_IF_ERROR(CheckOwner(*session));
  if (!target.Bool(0, 1)) {
    return NeedsDecision(absl::StrCat(
        "the backup is of schema ", schema,
        ", which is not in this role's search path: CREATE SCHEMA, and ALTER "
        "ROLE ... SET search_path, then restore again"));
  }
  if (!target.IsNull(0, 4)) {
    return NeedsDecision(absl::StrCat(
        "the backup is of schema ", schema, ", but here users is in ",
        target.Text(0, 4), ": put ", schema, " first in the search path"));
  }
  if (target.Bool(0, 2) && !options.replace) {
    USERPROFILE_ASSIGN_OR_RETURN(
        const postgres::Rows holds,
        session->ExecuteScript(
            absl::StrCat("SELECT EXISTS (SELECT 1 FROM ", schema, ".users)")));
    if (holds.Bool(0, 0)) {
      return NeedsDecision(
          "the table users holds users; with --replace they give way to the "
          "backup's, and are kept in a schema of their own");
    }
  }
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rights,
      session->Execute(kRights, {archive.schema(), archive.TablesLiteral()}));
  const OwnTable& changes = *FindOwnTable(kChangesTable);
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rights_to_changes,
      session->Execute(
          kRights, {archive.schema(), absl::StrCat("{", kChangesTable, "}")}));
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows ties,
                               session->Execute(kTies, {archive.schema()}));

  RestoreResult result;
  for (const std::string& entry : archive.left_out()) {
    // Taken from the table that gives way.
    const bool is_kept =
        target.Bool(0, 2) && (absl::StartsWith(entry, "POLICY ") ||
                              absl::StartsWith(entry, "ROW SECURITY "));
    if (!is_kept) result.left_out.push_back(entry);
  }
  for (std::size_t i = 0; i < ties.size(); ++i) {
    result.left_out.emplace_back(ties.Text(i, 0));
  }
  const bool moves =
      options.replace && (target.Bool(0, 2) || target.Bool(0, 3));
  const std::string moved_to(target.Text(0, 5));
  USERPROFILE_RETURN_IF_ERROR(
      archive.Restore(conninfo, MakeRoom(target, moves, moved_to),
                      absl::StrCat(rights.Text(0, 0), "\n",
                                   postgres::NameTables(changes.create, schema),
                                   ";\n", ShareOwnTable(changes, schema), ";\n",
                                   rights_to_changes.Text(0, 0)),
                      [&] { return postgres::ConfirmPrimary(*session); }));
  // Its own words are not enough: see Session.
  USERPROFILE_RETURN_IF_ERROR(postgres::ConfirmPrimary(*session));
  if (moves) result.moved_to = moved_to;
  const absl::Status analyzed =
      session->ExecuteScript(absl::StrCat("ANALYZE ", schema, ".users"))
          .status();
  if (!analyzed.ok()) {
    spdlog::warn("restored, but not analyzed: {}", analyzed.ToString());
  }
  USERPROFILE_ASSIGN_OR_RETURN(result.report, Inspect(*session));
  // What backups leave out, and is not there yet.
  bool is_complete = true;
  for (const Breach& breach : result.report.breaches) {
    if (breach.fault != Fault::kTableMissing) continue;
    is_complete = false;
    USERPROFILE_RETURN_IF_ERROR(session->ExecuteScript(breach.remedy).status());
    if (const OwnTable* table = FindOwnTable(breach.object)) {
      USERPROFILE_RETURN_IF_ERROR(
          session->ExecuteScript(ShareOwnTable(*table, schema)).status());
    }
  }
  if (is_complete) return result;
  USERPROFILE_ASSIGN_OR_RETURN(result.report, Inspect(*session));
  return result;
}

}  // namespace userprofile::schema
