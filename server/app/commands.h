#ifndef USERPROFILE_SERVER_APP_COMMANDS_H_
#define USERPROFILE_SERVER_APP_COMMANDS_H_

#include <string>

#include "absl/status/status.h"
#include "ops/command_line.h"
#include "server/postgres/database.h"
#include "server/transport/tls.h"

namespace userprofile::app {

// Each adds one command of userprofile-server, with its flags, to the command
// line.
void AddServeCommand(ops::CommandLine& command_line);
void AddConfigCommand(ops::CommandLine& command_line);
void AddHealthcheckCommand(ops::CommandLine& command_line);
void AddMigrateCommand(ops::CommandLine& command_line);
void AddSchemaCommand(ops::CommandLine& command_line);
void AddBackupCommand(ops::CommandLine& command_line);
void AddImportCommand(ops::CommandLine& command_line);
void AddTokenCommand(ops::CommandLine& command_line);
void AddVersionCommand(ops::CommandLine& command_line);

// The server's own exit codes, beside those of ops::ExitCode.
inline constexpr int kExitSchemaNotReady = 3;
inline constexpr int kExitNotAll = 4;  // of a file was imported

// What the commands share.
void AddDatabaseFlags(ops::Command command, postgres::DatabaseOptions& options);
void AddListenFlag(ops::Command command, std::string& address);
void AddTlsFlags(ops::Command command, transport::TlsFiles& files);

// Tells why a command failed, on stderr, and returns its exit code.
int Fail(const absl::Status& status);

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_COMMANDS_H_
