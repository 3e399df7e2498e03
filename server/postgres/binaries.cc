#include "server/postgres/binaries.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/postgres/process.h"

namespace userprofile::postgres {
namespace {

constexpr char kVariable[] = "USERPROFILE_POSTGRES_BIN";
constexpr char kDebianRoot[] = "/usr/lib/postgresql";

bool HoldsPrograms(const std::string& folder) {
  return access(absl::StrCat(folder, "/postgres").c_str(), X_OK) == 0 &&
         access(absl::StrCat(folder, "/initdb").c_str(), X_OK) == 0;
}

// Of "postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)", 15; 0 if unclear.
int MajorVersion(const std::string& folder) {
  Command command;
  command.words = {absl::StrCat(folder, "/postgres"), "--version"};
  const absl::StatusOr<Outcome> outcome = RunToEnd(std::move(command));
  if (!outcome.ok() || outcome->exit_code != 0) return 0;
  const std::vector<absl::string_view> words =
      absl::StrSplit(outcome->output, ' ');
  int version = 0;
  if (words.size() < 3) return 0;
  const std::vector<absl::string_view> parts =
      absl::StrSplit(words[2], absl::ByAnyChar(".abdr\n"));
  return absl::SimpleAtoi(parts[0], &version) ? version : 0;
}

std::vector<std::string> DebianFolders() {
  std::vector<int> versions;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(kDebianRoot, error)) {
    int version = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &version)) {
      versions.push_back(version);
    }
  }
  std::sort(versions.begin(), versions.end(), std::greater<>());
  std::vector<std::string> folders;
  for (const int version : versions) {
    folders.push_back(absl::StrCat(kDebianRoot, "/", version, "/bin"));
  }
  return folders;
}

std::vector<std::string> Candidates() {
  if (const char* folder = getenv(kVariable); folder != nullptr) {
    return {folder};
  }
  const char* path = getenv("PATH");
  std::vector<std::string> folders =
      absl::StrSplit(path == nullptr ? "" : path, ':', absl::SkipEmpty());
  // A relative folder would mean another one in the program's own directory.
  folders.erase(std::remove_if(folders.begin(), folders.end(),
                               [](const auto& f) { return f[0] != '/'; }),
                folders.end());
  for (std::string& folder : DebianFolders()) {
    folders.push_back(std::move(folder));
  }
  return folders;
}

}  // namespace

absl::StatusOr<Binaries> FindBinaries(absl::optional<int> major_version) {
  for (const std::string& folder : Candidates()) {
    if (!HoldsPrograms(folder)) continue;
    const int version = MajorVersion(folder);
    if (major_version ? version == *major_version
                      : version >= kOldestMajorVersion) {
      return Binaries{folder, version};
    }
  }
  const std::string where =
      getenv(kVariable) != nullptr
          ? absl::StrCat(" in $", kVariable, " (", getenv(kVariable), ")")
          : "";
  return absl::FailedPreconditionError(absl::StrCat(
      "there is no PostgreSQL ",
      major_version ? absl::StrCat(*major_version)
                    : absl::StrCat(kOldestMajorVersion, " or newer"),
      where, ": install the Debian package `postgresql",
      major_version ? absl::StrCat("-", *major_version) : "", "`, or set $",
      kVariable, " to the folder of its programs"));
}

}  // namespace userprofile::postgres
