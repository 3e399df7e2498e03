#include "ops/command_line.h"
#include "server/app/commands.h"

int main(int argc, char** argv) {
  namespace app = userprofile::app;
  userprofile::ops::CommandLine command_line(
      "Remembers the users of Telegram bots: one owner for the users table.",
      "userprofile-server");
  app::AddServeCommand(command_line);
  app::AddConfigCommand(command_line);
  app::AddHealthcheckCommand(command_line);
  app::AddMigrateCommand(command_line);
  app::AddSchemaCommand(command_line);
  app::AddBackupCommand(command_line);
  app::AddImportCommand(command_line);
  app::AddTokenCommand(command_line);
  app::AddVersionCommand(command_line);
  return command_line.Run(argc, argv);
}
