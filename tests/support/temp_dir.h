#ifndef USERPROFILE_TESTS_SUPPORT_TEMP_DIR_H_
#define USERPROFILE_TESTS_SUPPORT_TEMP_DIR_H_

#include <string>

#include "absl/strings/string_view.h"

namespace userprofile::testing {

// A new folder for a test, gone with all that is in it when destroyed. Other
// users can enter it, for the sake of an embedded PostgreSQL started by root.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

  // The path of `name` in the folder.
  std::string operator/(absl::string_view name) const;

 private:
  std::string path_;
};

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_TEMP_DIR_H_
