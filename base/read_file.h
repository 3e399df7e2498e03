#ifndef USERPROFILE_BASE_READ_FILE_H_
#define USERPROFILE_BASE_READ_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace userprofile::base {

// The one way in which the programs read files. Neither throws, blocks on a
// file that is none (a FIFO, a device), nor reads more than a MiB; errors say
// which file, and why.

// All that is in the file, be it nothing. NOT_FOUND if there is none;
// INVALID_ARGUMENT if it can't be read, is no regular file, or is over a MiB.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// All that is in a file that somebody named in a setting. INVALID_ARGUMENT if
// there is none, or it is empty, too.
absl::StatusOr<std::string> ReadSettingsFile(const std::string& path);

// A value that such a file holds, without the blanks and line ends around it.
// INVALID_ARGUMENT if there is none in it, too.
absl::StatusOr<std::string> ReadValueFile(const std::string& path);

// The names of what is in a folder, in no order; none if it can't be read.
std::vector<std::string> ListFolder(const std::string& path);

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_READ_FILE_H_
