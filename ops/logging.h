#ifndef USERPROFILE_OPS_LOGGING_H_
#define USERPROFILE_OPS_LOGGING_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "spdlog/formatter.h"

namespace userprofile::ops {

// How the process logs.
struct LoggingOptions {
  // "text": a line for people. "json": one object a line, with the members
  // time (RFC 3339, UTC), level and message; valid whatever the message holds.
  std::string format = "text";

  // The least level that is logged: "debug", "info", "warning" or "error".
  std::string level = "info";
};

// Makes spdlog's default logger, and Protobuf's, write to stderr in this way.
// INVALID_ARGUMENT, and nothing changed, for a format or a level that does not
// exist. To be called once, before there are other threads.
absl::Status SetUpLogging(const LoggingOptions& options);

// The formatter behind "json".
std::unique_ptr<spdlog::formatter> MakeJsonFormatter();

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_LOGGING_H_
