#ifndef USERPROFILE_CLIENT_ADAPTER_COMMANDS_H_
#define USERPROFILE_CLIENT_ADAPTER_COMMANDS_H_

#include "ops/command_line.h"

namespace userprofile::adapter {

// Each adds one command of userprofile-adapter, with its flags, to the command
// line.
void AddStdinCommand(ops::CommandLine& command_line);
void AddPollCommand(ops::CommandLine& command_line);
void AddWebhookCommand(ops::CommandLine& command_line);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_COMMANDS_H_
