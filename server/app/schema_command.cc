#include <iostream>
#include <memory>

#include "server/app/command_flags.h"
#include "server/app/commands.h"
#include "server/app/database.h"
#include "server/base/status_macros.h"
#include "server/schema/inspector.h"
#include "server/schema/report_format.h"

namespace userprofile::app {
namespace {

struct CheckCommand {
  DatabaseOptions database;
  ops::LoggingOptions logging;
  bool json = false;
};

absl::StatusOr<schema::Report> Inspect(const CheckCommand& command) {
  USERPROFILE_RETURN_IF_ERROR(ops::SetUpLogging(command.logging));
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Database> database,
      Database::Open(command.database, Database::Use::kInspect));
  USERPROFILE_ASSIGN_OR_RETURN(const auto session, database->Sessions()());
  return schema::Inspect(*session);
}

int Check(const CheckCommand& command) {
  const absl::StatusOr<schema::Report> report = Inspect(command);
  if (!report.ok()) return Fail(report.status());
  std::cout << (command.json ? schema::FormatJson(*report)
                             : schema::FormatText(*report))
            << std::flush;
  return report->breaches.empty() ? kDone : kSchemaNotReady;
}

}  // namespace

void AddSchemaCommand(CommandLine& command_line) {
  CLI::App* schema = command_line.AddCommand(
      command_line.root(), "schema", "Compare the schema with what is needed");
  schema->require_subcommand(1);
  CLI::App* app = command_line.AddCommand(
      schema, "check",
      "Say what holds and what does not; exit code 3 on any breach");
  auto command = std::make_shared<CheckCommand>();
  AddDatabaseFlags(app, command->database);
  AddOutputFlag(app, command->json);
  AddLoggingFlags(app, command->logging);
  command_line.OnCall(app, [command] { return Check(*command); });
}

}  // namespace userprofile::app
