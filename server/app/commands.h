#ifndef USERPROFILE_SERVER_APP_COMMANDS_H_
#define USERPROFILE_SERVER_APP_COMMANDS_H_

#include "server/app/command_line.h"

namespace userprofile::app {

// Each adds one command of userprofile-server, with its flags, to the command
// line.
void AddServeCommand(CommandLine& command_line);
void AddMigrateCommand(CommandLine& command_line);
void AddSchemaCommand(CommandLine& command_line);
void AddBackupCommand(CommandLine& command_line);
void AddVersionCommand(CommandLine& command_line);

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_COMMANDS_H_
