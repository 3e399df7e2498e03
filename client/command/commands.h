#ifndef USERPROFILE_CLIENT_COMMAND_COMMANDS_H_
#define USERPROFILE_CLIENT_COMMAND_COMMANDS_H_

#include <functional>

#include "absl/status/status.h"
#include "client/command/output.h"
#include "client/programs/service.h"
#include "ops/command_line.h"
#include "userprofile/client/profile_client.h"

namespace userprofile::command {

// Each adds one command of userprofile, with its flags, to the command line.
void AddGetCommand(ops::CommandLine& command_line);
void AddFindCommand(ops::CommandLine& command_line);
void AddListCommand(ops::CommandLine& command_line);
void AddCountCommand(ops::CommandLine& command_line);
void AddEditCommand(ops::CommandLine& command_line);
void AddDeleteCommand(ops::CommandLine& command_line);
void AddWatchCommand(ops::CommandLine& command_line);

// What each of them is told: whom to call, and how to write the answer.
struct CommonOptions {
  programs::ServiceOptions service = {.server = "127.0.0.1:50051"};
  OutputOptions output;
};
void AddCommonFlags(ops::Command command, CommonOptions& options);

// Does the work of a command, with a client and an output; returns its exit
// code, after the error was explained. OK or not, what was written is flushed.
int RunWith(
    const CommonOptions& options,
    const std::function<absl::Status(client::ProfileClient&, Output&)>& work);

}  // namespace userprofile::command

#endif  // USERPROFILE_CLIENT_COMMAND_COMMANDS_H_
