#include "server/schema/index_build.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "server/postgres/errors.h"
#include "server/schema/inspector.h"
#include "server/schema/refusal.h"
#include "server/schema/sql_script.h"

namespace userprofile::schema {
namespace {

constexpr int kAttempts = 3;

// What has the name in the schema of users; no row if nothing has.
constexpr postgres::Statement kFindIndex = {
    "find_index",
    "SELECT format('%I.%I', n.nspname, c.relname),"
    " coalesce(i.indrelid = u.oid, false),"
    " coalesce(i.indisvalid AND i.indisready AND i.indislive, false),"
    " EXISTS (SELECT FROM pg_constraint AS p WHERE p.conindid = c.oid)"
    " FROM pg_class AS u JOIN pg_class AS c ON c.relnamespace = u.relnamespace"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_index AS i ON i.indexrelid = c.oid"
    " WHERE u.oid = to_regclass('users') AND c.relname = $1"};

absl::Status Refuse(absl::string_view text) {
  return base::MakeError(absl::StatusCode::kFailedPrecondition, text,
                         kMigrationRefused);
}

class IndexBuild {
 public:
  IndexBuild(postgres::Session& session,
             const postgres::SessionFactory& connect, const DdlOptions& options,
             absl::string_view name, absl::string_view sql)
      : session_(session),
        connect_(connect),
        options_(options),
        name_(name),
        sql_(sql) {}

  absl::Status Build() {
    absl::Status status;
    // After a deadlock, say: from what was left behind.
    for (int attempt = 1; attempt <= kAttempts; ++attempt) {
      status = TryOnce();
      if (!absl::IsAborted(status)) break;
    }
    const std::string state = postgres::SqlState(status);
    if (state != "23505" && state != kRowTooLarge) return status;
    USERPROFILE_RETURN_IF_ERROR(DropUnlessRight());
    if (state == kRowTooLarge) return status;
    return Refuse(absl::StrCat(
        "the index ", name_,
        " can't be built, for several users have what only one may have; find "
        "them by the columns of: ",
        SplitStatements(sql_).front()));
  }

 private:
  absl::Status Run(const std::string& sql) {
    return RunConcurrently(session_, connect_, options_, sql,
                           absl::StrCat("index ", name_));
  }

  absl::Status TryOnce() {
    USERPROFILE_RETURN_IF_ERROR(DropUnlessRight());
    return right_ ? absl::OkStatus() : Run(sql_);
  }

  // Leaves an index that is right, and otherwise nothing under its name.
  absl::Status DropUnlessRight() {
    right_ = false;
    postgres::Rows found;
    Report report;
    // Even to look waits for whoever alters the table.
    USERPROFILE_RETURN_IF_ERROR(InDdlTransaction(
        session_, options_, absl::StrCat("index ", name_),
        [&]() -> absl::Status {
          USERPROFILE_ASSIGN_OR_RETURN(found,
                                       session_.Execute(kFindIndex, {name_}));
          if (found.empty()) return absl::OkStatus();
          USERPROFILE_ASSIGN_OR_RETURN(report, Inspect(session_));
          return absl::OkStatus();
        }));
    if (found.empty()) return absl::OkStatus();
    if (!found.Bool(0, 1)) {
      return Refuse(absl::StrCat("the name ", name_,
                                 " is taken by something that is no index of "
                                 "users; rename that"));
    }
    right_ = found.Bool(0, 2) &&
             std::none_of(
                 report.breaches.begin(), report.breaches.end(),
                 [&](const Breach& breach) { return breach.object == name_; });
    if (right_) return absl::OkStatus();
    if (found.Bool(0, 3)) {
      return Refuse(absl::StrCat("the name ", name_,
                                 " is taken by another constraint of users; "
                                 "rename it: ALTER TABLE users RENAME "
                                 "CONSTRAINT ",
                                 name_, " TO ..."));
    }
    return Run(
        absl::StrCat("DROP INDEX CONCURRENTLY IF EXISTS ", found.Text(0, 0)));
  }

  postgres::Session& session_;
  const postgres::SessionFactory& connect_;
  const DdlOptions& options_;
  const std::string name_;
  const std::string sql_;
  bool right_ = false;
};

}  // namespace

absl::Status BuildIndex(postgres::Session& session,
                        const postgres::SessionFactory& connect,
                        const DdlOptions& options, absl::string_view name,
                        absl::string_view sql) {
  return IndexBuild(session, connect, options, name, sql).Build();
}

}  // namespace userprofile::schema
