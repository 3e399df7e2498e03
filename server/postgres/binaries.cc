#include "server/postgres/binaries.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/read_file.h"
#include "server/postgres/process.h"

namespace userprofile::postgres {
namespace {

constexpr char kVariable[] = "USERPROFILE_POSTGRES_BIN";
constexpr char kDebianRoot[] = "/usr/lib/postgresql";

using Names = std::vector<const char*>;

bool Holds(const std::string& folder, const Names& programs) {
  return std::all_of(programs.begin(), programs.end(), [&](const char* name) {
    return access(absl::StrCat(folder, "/", name).c_str(), X_OK) == 0;
  });
}

// Of "postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)", 15; 0 if unclear.
int MajorVersion(const std::string& program) {
  Command command;
  command.words = {program, "--version"};
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
  for (const std::string& name : base::ListFolder(kDebianRoot)) {
    int version = 0;
    if (absl::SimpleAtoi(name, &version)) versions.push_back(version);
  }
  std::sort(versions.begin(), versions.end(), std::greater<>());
  std::vector<std::string> folders;
  for (const int version : versions) {
    folders.push_back(absl::StrCat(kDebianRoot, "/", version, "/bin"));
  }
  return folders;
}

std::vector<std::string> PathFolders() {
  const char* path = getenv("PATH");
  std::vector<std::string> folders =
      absl::StrSplit(path == nullptr ? "" : path, ':', absl::SkipEmpty());
  // A relative folder would mean another one in the program's own directory.
  folders.erase(std::remove_if(folders.begin(), folders.end(),
                               [](const auto& f) { return f[0] != '/'; }),
                folders.end());
  return folders;
}

// The folders of the variable, if it is set, else of both, in this order.
std::vector<std::string> Candidates(std::vector<std::string> first,
                                    const std::vector<std::string>& second) {
  if (const char* folder = getenv(kVariable); folder != nullptr) {
    return {folder};
  }
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Ends the message of an error: where was looked, and what to install.
std::string HowToInstall(const std::string& package) {
  const char* folder = getenv(kVariable);
  return absl::StrCat(folder == nullptr
                          ? ""
                          : absl::StrCat(" in $", kVariable, " (", folder, ")"),
                      ": install the Debian package `", package, "`, or set $",
                      kVariable, " to the folder of its programs");
}

}  // namespace

absl::StatusOr<Binaries> FindBinaries(absl::optional<int> major_version) {
  for (const std::string& folder : Candidates(PathFolders(), DebianFolders())) {
    if (!Holds(folder, {"postgres", "initdb"})) continue;
    const int version = MajorVersion(absl::StrCat(folder, "/postgres"));
    if (major_version ? version == *major_version
                      : version >= kOldestMajorVersion) {
      return Binaries{folder, version};
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "there is no PostgreSQL ",
      major_version ? absl::StrCat(*major_version)
                    : absl::StrCat(kOldestMajorVersion, " or newer"),
      HowToInstall(absl::StrCat(
          "postgresql",
          major_version ? absl::StrCat("-", *major_version) : ""))));
}

absl::StatusOr<Binaries> FindClientPrograms(int major_version) {
  absl::optional<Binaries> best;
  for (std::string& folder : Candidates(DebianFolders(), PathFolders())) {
    if (!Holds(folder, {"pg_dump", "pg_restore", "psql"})) continue;
    const int version = MajorVersion(absl::StrCat(folder, "/pg_dump"));
    if (version < major_version) continue;
    if (!best || version < best->major_version) {
      best = Binaries{std::move(folder), version};
    }
  }
  if (best) return *std::move(best);
  return absl::FailedPreconditionError(absl::StrCat(
      "there is no pg_dump of PostgreSQL ", major_version,
      ", which the server is, or newer",
      HowToInstall(absl::StrCat("postgresql-client-", major_version))));
}

}  // namespace userprofile::postgres
