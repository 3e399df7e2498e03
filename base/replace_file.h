#ifndef USERPROFILE_BASE_REPLACE_FILE_H_
#define USERPROFILE_BASE_REPLACE_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace userprofile::base {

// Writes a file anew, so that whatever is killed, it holds the old or the new
// text; the new one is on disk when this returns OK. FAILED_PRECONDITION if
// that fails, with the old one kept. The folder of the file must be writable:
// "PATH.part" is written first.
absl::Status ReplaceFile(const std::string& path, const std::string& text);

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_REPLACE_FILE_H_
