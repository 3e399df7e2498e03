#include "server/app/command_line.h"
#include "server/app/commands.h"

int main(int argc, char** argv) {
  using namespace userprofile::app;
  CommandLine command_line(
      "Remembers the users of Telegram bots: one owner for the users table.",
      "userprofile-server");
  AddServeCommand(command_line);
  AddMigrateCommand(command_line);
  AddSchemaCommand(command_line);
  AddVersionCommand(command_line);
  return command_line.Run(argc, argv);
}
