#ifndef USERPROFILE_BASE_REPLACE_FILE_H_
#define USERPROFILE_BASE_REPLACE_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace userprofile::base {

// Writes a file anew, so that whatever is killed, it holds the old or the new
// text; the new one is on disk when this returns OK. FAILED_PRECONDITION if
// that fails, with the old one kept. The folder of the file must be writable:
// "PATH.part" is written first, and has these permissions, as umask leaves
// them.
absl::Status ReplaceFile(const std::string& path, absl::string_view text,
                         mode_t mode = 0644);

}  // namespace userprofile::base

#endif  // USERPROFILE_BASE_REPLACE_FILE_H_
