#include "server/schema/migrator.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "server/schema/back_fill.h"
#include "server/schema/history.h"
#include "server/schema/index_build.h"
#include "server/schema/inspector.h"
#include "server/schema/obstacles.h"
#include "server/schema/sql_script.h"

namespace userprofile::schema {
namespace {

absl::Status Refused(const std::string& label, absl::string_view why) {
  return base::MakeError(
      absl::StatusCode::kFailedPrecondition,
      absl::StrCat("migration ", label, " changed nothing: ", why),
      kMigrationRefused, {{"migration", label}});
}

class Migrator {
 public:
  Migrator(const postgres::SessionFactory& connect,
           const MigrateOptions& options)
      : connect_(connect), options_(options) {}

  absl::StatusOr<MigrateResult> Up() {
    USERPROFILE_RETURN_IF_ERROR(Begin());
    USERPROFILE_ASSIGN_OR_RETURN(const auto pending, Pending());
    if (!pending.empty()) USERPROFILE_RETURN_IF_ERROR(Prepare());
    USERPROFILE_RETURN_IF_ERROR(InDdlTransaction(
        *session_, options_, "history", [&] { return OpenHistory(); }));
    for (const migrations::Migration* migration : pending) {
      const std::string label = Label(migration->version, migration->name);
      const base::SteadyTime start = base::SteadyTime::Now();
      USERPROFILE_RETURN_IF_ERROR(ExplainFailure(
          label, Apply(*migration, migration == pending.back())));
      spdlog::info("migration {} applied in {}", label,
                   absl::FormatDuration(base::SteadyTime::Now() - start));
    }
    if (pending.empty()) USERPROFILE_RETURN_IF_ERROR(CheckAlone());
    return std::move(result_);
  }

  absl::StatusOr<MigrateResult> Baseline() {
    USERPROFILE_RETURN_IF_ERROR(Begin());
    USERPROFILE_RETURN_IF_ERROR(InDdlTransaction(
        *session_, options_, "baseline", [&] { return RecordAll(); }));
    return std::move(result_);
  }

 private:
  // Connects, and becomes the only migrator.
  absl::Status Begin() {
    USERPROFILE_ASSIGN_OR_RETURN(session_, connect_());
    // Should this machine vanish, the server lets go of the lock soon.
    USERPROFILE_RETURN_IF_ERROR(
        session_
            ->ExecuteScript("SET tcp_keepalives_idle = 20;"
                            "SET tcp_keepalives_interval = 10;"
                            "SET tcp_keepalives_count = 3")
            .status());
    return LockSchema(*session_, options_);
  }

  // Refuses what no migration mends, before anything is changed. Where users
  // shall begin empty beside others that look like them, there has to be a
  // table first, for 001 makes none then.
  absl::Status Prepare() {
    std::string obstacles;
    USERPROFILE_RETURN_IF_ERROR(
        InDdlTransaction(*session_, options_, "look", [&]() -> absl::Status {
          USERPROFILE_ASSIGN_OR_RETURN(
              obstacles, FindObstacles(*session_, options_.migrations,
                                       options_.new_table));
          return absl::OkStatus();
        }));
    if (!obstacles.empty()) {
      return base::MakeError(absl::StatusCode::kFailedPrecondition,
                             absl::StrCat("nothing was changed: ", obstacles),
                             kMigrationRefused);
    }
    if (!options_.new_table) return absl::OkStatus();
    return InDdlTransaction(*session_, options_, "new table", [&] {
      return session_
          ->ExecuteScript(
              "DO $$ BEGIN IF to_regclass('users') IS NULL THEN CREATE TABLE "
              "users (user_id bigint PRIMARY KEY, is_active boolean, "
              "created_at timestamp); END IF; END $$")
          .status();
    });
  }

  // What became of a migration, in words where it says something of the table.
  absl::Status ExplainFailure(const std::string& label,
                              const absl::Status& status) {
    if (status.ok()) return status;
    if (const auto refusal = RefusalOf(status)) return Refused(label, *refusal);
    if (base::ErrorReason(status) == kMigrationRefused) {
      return Refused(label, status.message());
    }
    if (!base::ErrorReason(status).empty() || absl::IsCancelled(status)) {
      return status;
    }
    if (const std::string words = ExplainObstacle(*session_, status);
        !words.empty()) {
      return Refused(label, words);
    }
    return base::Annotate(status, absl::StrCat("migration ", label, ": "));
  }

  absl::Status OpenHistory() {
    USERPROFILE_ASSIGN_OR_RETURN(
        History history, History::Open(*session_, options_.tool_version));
    history_.emplace(std::move(history));
    return absl::OkStatus();
  }

  // If the schema is as needed, and else nothing.
  absl::Status RecordAll() {
    result_.applied.clear();
    USERPROFILE_RETURN_IF_ERROR(CheckContract());
    USERPROFILE_RETURN_IF_ERROR(OpenHistory());
    USERPROFILE_ASSIGN_OR_RETURN(
        const std::vector<MigrationStatus> history,
        ReadMigrationStatus(*session_, options_.migrations));
    for (const MigrationStatus& entry : history) {
      if (entry.state == MigrationState::kApplied ||
          entry.state == MigrationState::kUnknown) {
        continue;
      }
      const migrations::Migration& migration = *Find(entry.version);
      USERPROFILE_RETURN_IF_ERROR(history_->Forget(migration));
      USERPROFILE_RETURN_IF_ERROR(
          history_->Record(migration, absl::ZeroDuration(), true).status());
      result_.applied.push_back(entry.version);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<const migrations::Migration*>> Pending() {
    USERPROFILE_ASSIGN_OR_RETURN(
        const std::vector<MigrationStatus> history,
        ReadMigrationStatus(*session_, options_.migrations));
    std::vector<const migrations::Migration*> pending;
    for (const MigrationStatus& entry : history) {
      const bool late = entry.state == MigrationState::kLate;
      if (entry.state == MigrationState::kChanged ||
          (late && !options_.out_of_order)) {
        return base::MakeError(
            absl::StatusCode::kFailedPrecondition,
            absl::StrCat("nothing was done: migration ", Explain(entry)),
            late ? kMigrationLate : kMigrationChanged,
            {{"migration", Label(entry.version, entry.name)}});
      }
      if (late || entry.state == MigrationState::kUnknown) {
        spdlog::warn("migration {}", Explain(entry));
      }
      if (IsToDo(entry.state)) pending.push_back(Find(entry.version));
    }
    return pending;
  }

  const migrations::Migration* Find(int version) const {
    return std::find_if(options_.migrations.begin(), options_.migrations.end(),
                        [&](const migrations::Migration& migration) {
                          return migration.version == version;
                        });
  }

  absl::Status Apply(const migrations::Migration& migration, bool last) {
    if (migration.kind == migrations::Kind::kTransaction) {
      return ApplyInTransaction(migration, last);
    }
    const base::SteadyTime start = base::SteadyTime::Now();
    if (migration.kind == migrations::Kind::kBatches) {
      USERPROFILE_RETURN_IF_ERROR(BackFill(*session_, migration, options_));
    } else {
      USERPROFILE_RETURN_IF_ERROR(BuildIndexIfPossible(migration));
    }
    if (last) USERPROFILE_RETURN_IF_ERROR(CheckAlone());
    USERPROFILE_RETURN_IF_ERROR(
        history_->Record(migration, base::SteadyTime::Now() - start).status());
    result_.applied.push_back(migration.version);
    return absl::OkStatus();
  }

  // One that only speed asks for is done without where a row is too large for
  // it: no row may keep the rest from being done.
  absl::Status BuildIndexIfPossible(const migrations::Migration& migration) {
    absl::Status status = BuildIndex(*session_, connect_, options_,
                                     migration.index, migration.sql);
    if (postgres::SqlState(status) != kRowTooLarge) return status;
    const auto& indexes = UsersContract().indexes;
    const auto index =
        std::find_if(indexes.begin(), indexes.end(),
                     [&](const Index& i) { return migration.index == i.name; });
    if (index == indexes.end()) return status;
    const std::string words = absl::StrCat(
        "index ", index->name, " can't be built, for a ", index->column,
        " is too long; shorten it, then run 'userprofile-server schema "
        "repair': SELECT user_id FROM users WHERE octet_length(",
        index->column, ") > 2000");
    if (index->unique) {
      return base::MakeError(absl::StatusCode::kFailedPrecondition, words,
                             kMigrationRefused);
    }
    spdlog::warn("{}", words);
    return absl::OkStatus();
  }

  absl::Status ApplyInTransaction(const migrations::Migration& migration,
                                  bool last) {
    const std::string label = Label(migration.version, migration.name);
    bool is_new = false;
    const auto apply = [&]() -> absl::Status {
      const base::SteadyTime start = base::SteadyTime::Now();
      // First, so that whoever else is recording it is waited for.
      USERPROFILE_ASSIGN_OR_RETURN(
          is_new, history_->Record(migration, absl::ZeroDuration()));
      if (!is_new) return absl::OkStatus();
      for (const absl::string_view statement : SplitStatements(migration.sql)) {
        USERPROFILE_RETURN_IF_ERROR(
            session_->ExecuteScript(statement).status());
      }
      if (last) USERPROFILE_RETURN_IF_ERROR(CheckContract());
      return history_->SetDuration(migration, base::SteadyTime::Now() - start);
    };
    USERPROFILE_RETURN_IF_ERROR(
        InDdlTransaction(*session_, options_, label, apply));
    if (is_new) result_.applied.push_back(migration.version);
    return absl::OkStatus();
  }

  absl::Status CheckContract() {
    USERPROFILE_ASSIGN_OR_RETURN(result_.report,
                                 Inspect(*session_, options_.migrations));
    return result_.report.ToStatus();
  }

  // Even to look waits for whoever alters the table.
  absl::Status CheckAlone() {
    return InDdlTransaction(*session_, options_, "the check",
                            [&] { return CheckContract(); });
  }

  const postgres::SessionFactory& connect_;
  const MigrateOptions& options_;
  std::unique_ptr<postgres::Session> session_;
  absl::optional<History> history_;
  MigrateResult result_;
};

}  // namespace

absl::StatusOr<MigrateResult> Migrate(const postgres::SessionFactory& connect,
                                      const MigrateOptions& options) {
  return Migrator(connect, options).Up();
}

absl::StatusOr<MigrateResult> Baseline(const postgres::SessionFactory& connect,
                                       const MigrateOptions& options) {
  return Migrator(connect, options).Baseline();
}

}  // namespace userprofile::schema
