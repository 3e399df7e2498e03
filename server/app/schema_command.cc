#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "ops/logging.h"
#include "server/app/commands.h"
#include "server/app/statement_watch.h"
#include "server/postgres/database.h"
#include "server/schema/backup.h"
#include "server/schema/inspector.h"
#include "server/schema/repair.h"
#include "server/schema/report_format.h"
#include "server/schema/write_trial.h"
#include "server/store/statements.h"

namespace userprofile::app {
namespace {

using postgres::Database;
using postgres::DatabaseOptions;

struct SchemaCommand {
  DatabaseOptions database;
  ops::LoggingOptions logging;
  bool json = false;
  std::string serving_role;

  // Of repair.
  bool dry_run = false;
  bool no_backup = false;
  std::string backup_dir;
};

absl::StatusOr<std::unique_ptr<Database>> Open(const SchemaCommand& command) {
  USERPROFILE_RETURN_IF_ERROR(ops::SetUpLogging(command.logging));
  return Database::Open(command.database, Database::Use::kInspect);
}

template <typename T>
void Print(const SchemaCommand& command, const T& result) {
  std::cout << (command.json ? schema::FormatJson(result)
                             : schema::FormatText(result))
            << std::flush;
}

int ExitCodeFor(bool is_as_needed) {
  return is_as_needed ? ops::kDone : kExitSchemaNotReady;
}

absl::StatusOr<schema::Report> Inspect(const SchemaCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(const auto database, Open(command));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, watch.Sessions()());
  USERPROFILE_ASSIGN_OR_RETURN(
      schema::Report report,
      schema::Inspect(*session, migrations::Embedded(), command.serving_role));
  if (auto breach = schema::TryToWrite(*session, report)) {
    report.breaches.push_back(*std::move(breach));
  }
  return report;
}

int Check(const SchemaCommand& command) {
  const absl::StatusOr<schema::Report> report = Inspect(command);
  if (!report.ok()) return Fail(report.status());
  Print(command, *report);
  return ExitCodeFor(report->breaches.empty());
}

absl::Status BackUp(const SchemaCommand& command, const Database& database,
                    StatementWatch& watch) {
  if (command.no_backup) {
    std::cerr << "No backup is made, as --no-backup asks." << std::endl;
    return absl::OkStatus();
  }
  if (command.backup_dir.empty()) {
    return absl::InvalidArgumentError(
        "say where the backup shall be: --backup-dir DIR; or do without one: "
        "--no-backup. Nothing was changed");
  }
  USERPROFILE_ASSIGN_OR_RETURN(const std::string conninfo,
                               database.PrimaryConninfo());
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::string file,
      schema::CreateBackupIn(watch.Sessions(), conninfo, command.backup_dir,
                             absl::Now()));
  std::cerr << "Backup: " << file << std::endl;
  return absl::OkStatus();
}

absl::StatusOr<schema::RepairResult> RunRepair(const SchemaCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(const auto database, Open(command));
  StatementWatch watch(*database);
  schema::RepairOptions options;
  options.dry_run = command.dry_run;
  options.role = command.serving_role;
  options.before_first_change = [&](const schema::RepairResult& plan) {
    if (!command.json) std::cout << schema::FormatText(plan) << std::endl;
    return BackUp(command, *database, watch);
  };
  return schema::Repair(watch.Sessions(), options);
}

int Repair(const SchemaCommand& command) {
  const absl::StatusOr<schema::RepairResult> result = RunRepair(command);
  if (!result.ok()) return Fail(result.status());
  Print(command, *result);
  return ExitCodeFor(result->is_as_needed());
}

}  // namespace

void AddSchemaCommand(ops::CommandLine& command_line) {
  ops::Command schema = command_line.AddCommand(
      command_line.root(), "schema",
      "Compare the schema with what is needed, and mend it");
  const auto add = [&](const char* name, const char* description,
                       int (*run)(const SchemaCommand&)) {
    ops::Command app = command_line.AddCommand(schema, name, description);
    auto command = std::make_shared<SchemaCommand>();
    AddDatabaseFlags(app, command->database);
    ops::AddFlag(app, "--serving-role", command->serving_role,
                 "Whose rights are looked at, if not this role's own");
    ops::AddOutputFlag(app, command->json);
    ops::AddLoggingFlags(app, command->logging);
    command_line.OnCall(app, [command, run] { return run(*command); });
    return std::make_pair(app, command);
  };
  add("check", "Say what holds and what does not; exit code 3 on any breach",
      Check);
  const auto [app, command] =
      add("repair",
          "Add what is missing, widen what is too narrow, build indexes again; "
          "never drops or changes data. Exit code 3 if breaches are left",
          Repair);
  ops::AddSwitch(app, "--dry-run", command->dry_run,
                 "Say what would be done, and do nothing");
  const ops::Flag backup_dir =
      ops::AddFlag(app, "--backup-dir", command->backup_dir,
                   "Where a backup is put before anything is changed");
  ops::AddSwitch(app, "--no-backup", command->no_backup, "Do without a backup")
      .Excludes(backup_dir);
  command_line.OnCall(
      command_line.AddCommand(schema, "sql",
                              "Print the SQL that calls run on users"),
      [] {
        std::cout << store::AllStatements() << std::flush;
        return ops::kDone;
      });
}

}  // namespace userprofile::app
