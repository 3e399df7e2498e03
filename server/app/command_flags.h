#ifndef USERPROFILE_SERVER_APP_COMMAND_FLAGS_H_
#define USERPROFILE_SERVER_APP_COMMAND_FLAGS_H_

#include <string>

#include "absl/status/status.h"
#include "ops/command_line.h"
#include "server/postgres/database.h"

namespace userprofile::app {

// The server's own exit code, beside those of ops::ExitCode.
inline constexpr int kExitSchemaNotReady = 3;

// Flags that several commands share, each added where a command has it.
void AddDatabaseFlags(CLI::App* command, postgres::DatabaseOptions& options);

// --output text|json; true for json.
void AddOutputFlag(CLI::App* command, bool& json);

// Tells why a command failed, on stderr, and returns its exit code.
int Fail(const absl::Status& status);

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_COMMAND_FLAGS_H_
