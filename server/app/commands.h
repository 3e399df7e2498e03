#ifndef USERPROFILE_SERVER_APP_COMMANDS_H_
#define USERPROFILE_SERVER_APP_COMMANDS_H_

#include "ops/command_line.h"

namespace userprofile::app {

// Each adds one command of userprofile-server, with its flags, to the command
// line.
void AddServeCommand(ops::CommandLine& command_line);
void AddConfigCommand(ops::CommandLine& command_line);
void AddMigrateCommand(ops::CommandLine& command_line);
void AddSchemaCommand(ops::CommandLine& command_line);
void AddBackupCommand(ops::CommandLine& command_line);
void AddTokenCommand(ops::CommandLine& command_line);
void AddVersionCommand(ops::CommandLine& command_line);

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_COMMANDS_H_
