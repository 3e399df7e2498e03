#include "server/schema/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/status_macros.h"
#include "server/postgres/binaries.h"
#include "server/postgres/conninfo.h"
#include "server/postgres/process.h"
#include "server/schema/archive.h"
#include "server/schema/ddl.h"
#include "server/schema/inspector.h"

namespace userprofile::schema {
namespace {

// Where users and the history are; NULL for what there is not. And whether
// users is a table that holds all of its rows itself: of others, pg_dump writes
// the definition only.
constexpr postgres::Statement kFindTables = {
    "find_tables",
    "SELECT current_setting('server_version_num')::integer / 10000,"
    " quote_ident(n.nspname) || '.users',"
    " quote_ident(n.nspname) || '.' || quote_ident(h.relname),"
    " c.relkind = 'r'"
    "  AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)"
    " FROM (SELECT to_regclass('users')::oid AS oid) AS found"
    " LEFT JOIN pg_class AS c ON c.oid = found.oid"
    " LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_class AS h ON h.relnamespace = n.oid"
    " AND h.relname = 'userprofile_migrations'"};

// What is where the tables of an archive, of the schema $1, are to go.
constexpr postgres::Statement kFindTarget = {
    "find_target",
    "SELECT quote_ident($1), $1::name = ANY (current_schemas(false)),"
    " to_regclass(quote_ident($1) || '.users') IS NOT NULL,"
    " to_regclass(quote_ident($1) || '.userprofile_migrations') IS NOT NULL,"
    " (SELECT quote_ident(nspname) FROM pg_class"
    "  JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    "  WHERE pg_class.oid = to_regclass('users') AND nspname <> $1::name),"
    " to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD_HH24MISS')"};

// The owners and rights of those tables, as statements.
constexpr postgres::Statement kRights = {
    "table_rights",
    "SELECT string_agg(statement, ' ') FROM pg_class AS c,"
    " LATERAL (SELECT format('ALTER TABLE %s.%I OWNER TO %s;',"
    "   quote_ident($1), relname, quote_ident(pg_get_userbyid(relowner)))"
    "  UNION ALL SELECT format('GRANT %s ON %s.%I TO %s;', privilege_type,"
    "   quote_ident($1), relname, CASE WHEN grantee = 0 THEN 'PUBLIC'"
    "   ELSE quote_ident(pg_get_userbyid(grantee)) END)"
    "  FROM aclexplode(relacl) WHERE grantee <> relowner) AS s (statement)"
    " WHERE relnamespace = to_regnamespace(quote_ident($1))"
    " AND relname = ANY ($2::text[])"};

absl::Status CannotWrite(const std::string& file, int error) {
  return absl::FailedPreconditionError(absl::StrCat(
      "can't write ", file, ": ", std::generic_category().message(error),
      error == EEXIST ? "; choose another name, nothing is overwritten" : ""));
}

// A file that gets its name once it is complete and on disk.
class FileBeside {
 public:
  static absl::StatusOr<std::unique_ptr<FileBeside>> Create(
      const std::string& path) {
    auto file = std::unique_ptr<FileBeside>(new FileBeside(path));
    if (access(path.c_str(), F_OK) == 0) return CannotWrite(path, EEXIST);
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

  // A link, for a rename would overwrite.
  absl::Status Finish() {
    if (fsync(fd_) != 0 || link(part_.c_str(), path_.c_str()) != 0) {
      return CannotWrite(path_, errno);
    }
    std::string folder = std::filesystem::path(path_).parent_path().string();
    if (folder.empty()) folder = ".";
    const int directory =
        open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const absl::Cleanup close_it = [&] { close(directory); };
    if (directory < 0 || fsync(directory) != 0) {
      return CannotWrite(path_, errno);
    }
    return absl::OkStatus();
  }

 private:
  explicit FileBeside(const std::string& path)
      : path_(path), part_(absl::StrCat(path, ".part-XXXXXX")) {}

  const std::string path_;
  std::string part_;
  int fd_ = -1;
};

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
  std::string sql =
      "SET client_min_messages = error; SET lock_timeout = '2s';\n";
  if (target.Bool(0, 2)) {
    absl::StrAppend(&sql, "LOCK TABLE ", users, ";\n");
    if (!replace) {
      absl::StrAppend(
          &sql, "DO $userprofile$ BEGIN IF EXISTS (SELECT FROM ", users,
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
  return sql;
}

}  // namespace

absl::Status CreateBackup(const postgres::SessionFactory& connect,
                          const std::string& conninfo,
                          const std::string& file) {
  USERPROFILE_ASSIGN_OR_RETURN(const std::unique_ptr<FileBeside> target,
                               FileBeside::Create(file));
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, connect());
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows found,
                               session->Execute(kFindTables, {}));
  if (found.IsNull(0, 1)) {
    return absl::FailedPreconditionError(
        "there is no table users to back up; 'userprofile-server schema check' "
        "says more");
  }
  if (!found.Bool(0, 3)) {
    return absl::FailedPreconditionError(
        "users is a view, a partitioned or a foreign table, or other tables "
        "inherit from it: a backup of it would hold none of their rows; "
        "'userprofile-server schema check' says more");
  }
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Binaries programs,
      postgres::FindClientPrograms(static_cast<int>(found.Int64(0, 0))));
  USERPROFILE_ASSIGN_OR_RETURN(postgres::ProgramConnection connection,
                               postgres::ForProgram(conninfo));

  postgres::Command command;
  command.words = {absl::StrCat(programs.folder, "/pg_dump"), "--format=custom",
                   "--no-password", "--lock-wait-timeout=60s",
                   absl::StrCat("--table=", found.Text(0, 1))};
  if (!found.IsNull(0, 2)) {
    command.words.push_back(absl::StrCat("--table=", found.Text(0, 2)));
  }
  command.words.push_back(absl::StrCat("--dbname=", connection.conninfo));
  command.environment = std::move(connection.environment);
  command.output = target->fd();
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Outcome outcome,
                               postgres::RunToEnd(std::move(command)));
  if (outcome.exit_code != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the backup failed, there is no ", file, ": ",
        outcome.output.empty()
            ? absl::StrCat("pg_dump ended with code ", outcome.exit_code)
            : FirstComplaint(outcome.output)));
  }
  return target->Finish();
}

absl::StatusOr<RestoreResult> RestoreBackup(
    const postgres::SessionFactory& connect, const std::string& conninfo,
    const std::string& file, const RestoreOptions& options) {
  USERPROFILE_ASSIGN_OR_RETURN(const auto lock, connect());
  USERPROFILE_RETURN_IF_ERROR(LockSchema(*lock, {}));
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, connect());
  USERPROFILE_ASSIGN_OR_RETURN(const postgres::Rows version,
                               session->Execute(kFindTables, {}));
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Binaries programs,
      postgres::FindClientPrograms(static_cast<int>(version.Int64(0, 0))));
  USERPROFILE_ASSIGN_OR_RETURN(const Archive archive,
                               Archive::Open(programs, file));

  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows target,
      session->Execute(kFindTarget, {archive.schema()}));
  const std::string schema(target.Text(0, 0));
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
            absl::StrCat("SELECT EXISTS (SELECT FROM ", schema, ".users)")));
    if (holds.Bool(0, 0)) {
      return NeedsDecision(
          "the table users holds users; with --replace they give way to the "
          "backup's, and are kept in a schema of their own");
    }
  }
  USERPROFILE_ASSIGN_OR_RETURN(
      const postgres::Rows rights,
      session->Execute(kRights, {archive.schema(), archive.TablesLiteral()}));

  RestoreResult result;
  result.left_out = archive.left_out();
  const bool moves =
      options.replace && (target.Bool(0, 2) || target.Bool(0, 3));
  const std::string moved_to =
      absl::StrCat("userprofile_replaced_", target.Text(0, 5));
  USERPROFILE_RETURN_IF_ERROR(archive.Restore(conninfo,
                                              MakeRoom(target, moves, moved_to),
                                              std::string(rights.Text(0, 0))));
  if (moves) result.moved_to = moved_to;
  const absl::Status analyzed =
      session->ExecuteScript(absl::StrCat("ANALYZE ", schema, ".users"))
          .status();
  if (!analyzed.ok()) {
    spdlog::warn("restored, but not analyzed: {}", analyzed.ToString());
  }
  USERPROFILE_ASSIGN_OR_RETURN(result.report, Inspect(*session));
  return result;
}

}  // namespace userprofile::schema
