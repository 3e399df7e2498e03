#include <iostream>
#include <memory>

#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "ops/logging.h"
#include "server/app/commands.h"
#include "server/app/statement_watch.h"
#include "server/postgres/database.h"
#include "server/schema/backup.h"
#include "server/schema/report_format.h"

namespace userprofile::app {
namespace {

using postgres::Database;
using postgres::DatabaseOptions;

struct BackupCommand {
  DatabaseOptions database;
  ops::LoggingOptions logging;
  bool json = false;
  std::string file;
  schema::RestoreOptions restore;
};

absl::StatusOr<int> Create(const BackupCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const auto database,
      Database::Open(command.database, Database::Use::kInspect));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(const std::string conninfo,
                               database->PrimaryConninfo());
  USERPROFILE_RETURN_IF_ERROR(
      schema::CreateBackup(watch.Sessions(), conninfo, command.file));
  if (command.json) {
    std::cout << nlohmann::json({{"file", command.file}}) << std::endl;
  } else {
    std::cout << "Backup: " << command.file << std::endl;
  }
  return ops::kDone;
}

void Print(const BackupCommand& command, const schema::RestoreResult& result) {
  if (command.json) {
    std::cout << nlohmann::json({{"moved_to", result.moved_to},
                                 {"left_out", result.left_out},
                                 {"ready", result.report.ToStatus().ok()}})
              << std::endl;
    return;
  }
  std::cout << "Restored " << command.file << "." << std::endl;
  if (!result.moved_to.empty()) {
    std::cout << "What was there is in schema " << result.moved_to
              << "; when nobody needs it: DROP SCHEMA " << result.moved_to
              << " CASCADE" << std::endl;
  }
  for (const std::string& entry : result.left_out) {
    std::cout << "Left out, create it again if it is needed: " << entry
              << std::endl;
  }
  if (!result.report.breaches.empty()) {
    std::cout << schema::FormatText(result.report);
  }
}

absl::StatusOr<int> Restore(const BackupCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const auto database,
      Database::Open(command.database, Database::Use::kCommand));
  StatementWatch watch(*database);
  USERPROFILE_ASSIGN_OR_RETURN(const std::string conninfo,
                               database->PrimaryConninfo());
  USERPROFILE_ASSIGN_OR_RETURN(
      const schema::RestoreResult result,
      schema::RestoreBackup(watch.Sessions(), conninfo, command.file,
                            command.restore));
  Print(command, result);
  return result.report.breaches.empty() ? ops::kDone : kExitSchemaNotReady;
}

}  // namespace

void AddBackupCommand(ops::CommandLine& command_line) {
  ops::Command backup =
      command_line.AddCommand(command_line.root(), "backup",
                              "Save the service's tables, and restore them");
  const auto add = [&](const char* name, const char* description,
                       absl::StatusOr<int> (*run)(const BackupCommand&)) {
    ops::Command app = command_line.AddCommand(backup, name, description);
    auto command = std::make_shared<BackupCommand>();
    ops::AddArgument(app, "FILE", command->file, "The file of the backup");
    AddDatabaseFlags(app, command->database);
    ops::AddOutputFlag(app, command->json);
    ops::AddLoggingFlags(app, command->logging);
    command_line.OnCall(app, [command, run] {
      const absl::Status status = ops::SetUpLogging(command->logging);
      const absl::StatusOr<int> code =
          status.ok() ? run(*command) : absl::StatusOr<int>(status);
      return code.ok() ? *code : Fail(code.status());
    });
    return std::make_pair(app, command);
  };
  add("create", "Write the tables to FILE, which must not exist", Create);
  const auto [app, command] =
      add("restore",
          "Put the tables of FILE in place, all or nothing; refused if there "
          "are users. Exit code 3 if what was restored is not as needed",
          Restore);
  ops::AddSwitch(
      app, "--replace", command->restore.replace,
      "Even if there are users: their table is moved to a schema of its "
      "own, and views and foreign keys on it go with it");
}

}  // namespace userprofile::app
