#include "tests/support/temp_dir.h"

#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace userprofile::testing {

TempDir::TempDir()
    : path_((std::filesystem::temp_directory_path() / "userprofile-test-XXXXXX")
                .string()) {
  if (mkdtemp(path_.data()) == nullptr || chmod(path_.c_str(), 0755) != 0) {
    std::perror(path_.c_str());
    std::abort();
  }
}

TempDir::~TempDir() {
  // A program that was told to end may still be writing its last files.
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  std::error_code error;
  while (std::filesystem::remove_all(path_, error),
         error && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
}

std::string TempDir::operator/(absl::string_view name) const {
  return absl::StrCat(path_, "/", name);
}

}  // namespace userprofile::testing
