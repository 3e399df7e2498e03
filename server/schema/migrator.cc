#include "server/schema/migrator.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/error_info.h"
#include "server/base/status_macros.h"
#include "server/postgres/errors.h"
#include "server/schema/ddl.h"
#include "server/schema/history.h"
#include "server/schema/inspector.h"

namespace userprofile::schema {
namespace {

constexpr char kRefusedState[] = "UP001";

// The words of a RAISE, without what the layers below put before them.
std::string RaisedMessage(const absl::Status& status) {
  absl::string_view text = status.message();
  const std::string state = absl::StrCat(kRefusedState, ": ");
  if (const std::size_t at = text.find(state); at != absl::string_view::npos) {
    text.remove_prefix(at + state.size());
  }
  // "ERROR:  ", in the language of the server.
  if (const std::size_t at = text.find(":  "); at != absl::string_view::npos) {
    text.remove_prefix(at + 3);
  }
  return std::string(text);
}

absl::Status ExplainFailure(const migrations::Migration& migration,
                            const absl::Status& status) {
  const std::string label = Label(migration.version, migration.name);
  if (postgres::SqlState(status) == kRefusedState) {
    return base::MakeError(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("migration ", label,
                     " changed nothing: ", RaisedMessage(status)),
        kMigrationRefused, {{"migration", label}});
  }
  if (!base::ErrorReason(status).empty()) return status;
  if (absl::IsCancelled(status)) return status;
  absl::Status named(status.code(),
                     absl::StrCat("migration ", label, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& value) {
    named.SetPayload(url, value);
  });
  return named;
}

class Migrator {
 public:
  Migrator(postgres::Session& session, const MigrateOptions& options)
      : session_(session), options_(options) {}

  absl::StatusOr<MigrateResult> Run() {
    USERPROFILE_RETURN_IF_ERROR(CreateHistory(session_));
    USERPROFILE_ASSIGN_OR_RETURN(
        const std::vector<MigrationStatus> history,
        ReadMigrationStatus(session_, options_.migrations));
    std::vector<const migrations::Migration*> pending;
    for (const MigrationStatus& entry : history) {
      switch (entry.state) {
        case MigrationState::kApplied:
          break;
        case MigrationState::kPending:
          pending.push_back(Find(entry.version));
          break;
        case MigrationState::kUnknown:
          spdlog::warn("migration {} was applied by a newer version",
                       Label(entry.version, entry.name));
          break;
        case MigrationState::kChanged: {
          const std::string label = Label(entry.version, entry.name);
          return base::MakeError(
              absl::StatusCode::kFailedPrecondition,
              absl::StrCat("migration ", label,
                           " was applied with other contents than this "
                           "version's; nothing was done"),
              kMigrationChanged, {{"migration", label}});
        }
      }
    }

    for (const migrations::Migration* migration : pending) {
      USERPROFILE_RETURN_IF_ERROR(
          Apply(*migration, migration == pending.back()));
    }
    if (pending.empty()) USERPROFILE_RETURN_IF_ERROR(CheckContract());
    return std::move(result_);
  }

 private:
  const migrations::Migration* Find(int version) const {
    return std::find_if(options_.migrations.begin(), options_.migrations.end(),
                        [&](const migrations::Migration& migration) {
                          return migration.version == version;
                        });
  }

  absl::Status Apply(const migrations::Migration& migration, bool last) {
    const std::string label = Label(migration.version, migration.name);
    const absl::Time start = absl::Now();
    bool is_new = false;
    const absl::Status status =
        InDdlTransaction(session_, options_, absl::StrCat("migration ", label),
                         [&] { return ApplyOnce(migration, last, is_new); });
    if (!status.ok()) return ExplainFailure(migration, status);
    if (!is_new) return absl::OkStatus();
    result_.applied.push_back(migration.version);
    spdlog::info("migration {} applied in {}", label,
                 absl::FormatDuration(absl::Now() - start));
    return absl::OkStatus();
  }

  absl::Status ApplyOnce(const migrations::Migration& migration, bool last,
                         bool& is_new) {
    // First, so that a migrator that lost its lock unnoticed can't get further.
    USERPROFILE_ASSIGN_OR_RETURN(is_new, RecordMigration(session_, migration));
    if (is_new) {
      USERPROFILE_RETURN_IF_ERROR(
          session_.ExecuteScript(migration.sql).status());
    }
    return last ? CheckContract() : absl::OkStatus();
  }

  absl::Status CheckContract() {
    USERPROFILE_ASSIGN_OR_RETURN(result_.report,
                                 Inspect(session_, options_.migrations));
    return result_.report.ToStatus();
  }

  postgres::Session& session_;
  const MigrateOptions& options_;
  MigrateResult result_;
};

}  // namespace

absl::StatusOr<MigrateResult> Migrate(const postgres::SessionFactory& connect,
                                      const MigrateOptions& options) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<postgres::Session> lock_session, connect());
  USERPROFILE_RETURN_IF_ERROR(LockSchema(*lock_session, options));
  USERPROFILE_ASSIGN_OR_RETURN(const std::unique_ptr<postgres::Session> session,
                               connect());
  return Migrator(*session, options).Run();
}

}  // namespace userprofile::schema
