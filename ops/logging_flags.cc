#include "ops/logging_flags.h"

#include "ops/command_line.h"

namespace userprofile::ops {

void AddLoggingFlags(CLI::App* command, LoggingOptions& options) {
  AddFlag(command, "--log-format", options.format,
          "text (for people) or json (one object a line)")
      ->check(CLI::IsMember({"text", "json"}));
  AddFlag(command, "--log-level", options.level, "What is logged at least")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

}  // namespace userprofile::ops
