#ifndef USERPROFILE_CLIENT_ADAPTER_COMMANDS_H_
#define USERPROFILE_CLIENT_ADAPTER_COMMANDS_H_

#include <functional>

#include "CLI/CLI.hpp"

namespace userprofile::adapter {

// The exit codes of the program.
enum ExitCode : int { kDone = 0, kFailed = 1, kWrongUsage = 2 };

// Runs what the command line asks for, and returns the exit code.
using Run = std::function<int()>;

// The commands of the program. Each adds itself to `app`, and sets `run` when
// it is the one that was called.
void AddStdinCommand(CLI::App& app, Run& run);
void AddPollCommand(CLI::App& app, Run& run);
void AddWebhookCommand(CLI::App& app, Run& run);

}  // namespace userprofile::adapter

#endif  // USERPROFILE_CLIENT_ADAPTER_COMMANDS_H_
