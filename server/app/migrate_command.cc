#include <iostream>
#include <memory>
#include <vector>

#include "nlohmann/json.hpp"
#include "server/app/command_flags.h"
#include "server/app/commands.h"
#include "server/app/database.h"
#include "server/base/status_macros.h"
#include "server/schema/history.h"
#include "server/schema/migrator.h"
#include "server/schema/report_format.h"

namespace userprofile::app {
namespace {

struct MigrateCommand {
  DatabaseOptions database;
  ops::LoggingOptions logging;
  bool json = false;
};

absl::Status Up(const MigrateCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kCommand));
  USERPROFILE_ASSIGN_OR_RETURN(const schema::MigrateResult result,
                               schema::Migrate(database->Sessions()));
  if (command.json) {
    std::cout << nlohmann::json({{"applied", result.applied}}) << std::endl;
  } else if (result.applied.empty()) {
    std::cout << "Nothing to do: the schema is up to date." << std::endl;
  } else {
    std::cout << "Applied " << result.applied.size()
              << " migrations; the schema is as the service needs it."
              << std::endl;
  }
  return absl::OkStatus();
}

absl::Status Status(const MigrateCommand& command) {
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kCommand));
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, database->Sessions()());
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::vector<schema::MigrationStatus> migrations,
      schema::ReadMigrationStatus(*session));
  std::cout << (command.json ? schema::FormatJson(migrations)
                             : schema::FormatText(migrations))
            << std::flush;
  return absl::OkStatus();
}

}  // namespace

void AddMigrateCommand(CommandLine& command_line) {
  CLI::App* migrate = command_line.AddCommand(command_line.root(), "migrate",
                                              "Bring the schema up to date");
  migrate->require_subcommand(1);
  const auto add = [&](const char* name, const char* description,
                       absl::Status (*run)(const MigrateCommand&)) {
    CLI::App* app = command_line.AddCommand(migrate, name, description);
    auto command = std::make_shared<MigrateCommand>();
    AddDatabaseFlags(app, command->database);
    AddOutputFlag(app, command->json);
    AddLoggingFlags(app, command->logging);
    command_line.OnCall(app, [command, run] {
      absl::Status status = ops::SetUpLogging(command->logging);
      if (status.ok()) status = run(*command);
      return status.ok() ? kDone : Fail(status);
    });
  };
  add("up", "Apply what is pending, then check the schema", Up);
  add("status", "Say which migrations were applied, and when", Status);
}

}  // namespace userprofile::app
