#ifndef USERPROFILE_CLIENT_COMMAND_ERRORS_H_
#define USERPROFILE_CLIENT_COMMAND_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "ops/command_line.h"

namespace userprofile::command {

// The exit code for who is not there, beside ops::ExitCode.
inline constexpr int kNotFound = 3;

// What went wrong, why, and what to do about it here: a line or more, without
// the last one's end.
std::string Explain(const absl::Status& status);

// The exit code that tells it: wrong usage for INVALID_ARGUMENT.
int ExitCodeOf(const absl::Status& status);

// Explains the error on stderr; its exit code.
int Fail(const absl::Status& status);

}  // namespace userprofile::command

#endif  // USERPROFILE_CLIENT_COMMAND_ERRORS_H_
