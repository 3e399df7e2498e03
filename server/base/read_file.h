#ifndef USERPROFILE_SERVER_BASE_READ_FILE_H_
#define USERPROFILE_SERVER_BASE_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace userprofile::base {

// All that is in a file of settings. INVALID_ARGUMENT, saying which file and
// why, if it can't be read, is empty, or is over a MiB and so no such file.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace userprofile::base

#endif  // USERPROFILE_SERVER_BASE_READ_FILE_H_
