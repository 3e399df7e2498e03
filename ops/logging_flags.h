#ifndef USERPROFILE_OPS_LOGGING_FLAGS_H_
#define USERPROFILE_OPS_LOGGING_FLAGS_H_

#include "CLI/CLI.hpp"
#include "ops/logging.h"

namespace userprofile::ops {

// Adds --log-format and --log-level.
void AddLoggingFlags(CLI::App* command, LoggingOptions& options);

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_LOGGING_FLAGS_H_
