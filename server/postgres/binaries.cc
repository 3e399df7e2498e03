#include "server/postgres/binaries.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/read_file.h"
#include "base/status_macros.h"
#include "server/postgres/process.h"

namespace userprofile::postgres {
namespace {

constexpr char kVariable[] = "USERPROFILE_POSTGRES_BIN";
constexpr char kDebianRoot[] = "/usr/lib/postgresql";

bool Holds(const std::string& folder,
           const std::vector<const char*>& programs) {
  return std::all_of(programs.begin(), programs.end(), [&](const char* name) {
    return access(absl::StrCat(folder, "/", name).c_str(), X_OK) == 0;
  });
}

// Of "postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)", 15; 0 if unclear.
absl::StatusOr<int> MajorVersion(const std::string& program) {
  Command command;
  command.words = {program, "--version"};
  USERPROFILE_ASSIGN_OR_RETURN(const Outcome outcome,
                               RunToEnd(std::move(command)));
  const std::vector<std::string> words = absl::StrSplit(outcome.output, ' ');
  return words.size() < 3 ? 0 : std::atoi(words[2].c_str());
}

// The folders of the variable if it is set, else those of $PATH and Debian's,
// newest first, in this order or the other.
std::vector<std::string> Candidates(bool path_first) {
  if (const char* folder = getenv(kVariable)) return {folder};
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
  const char* path = getenv("PATH");
  auto at = path_first ? folders.begin() : folders.end();
  for (const absl::string_view folder :
       absl::StrSplit(path == nullptr ? "" : path, ':')) {
    // A relative one would mean another one in the program's own directory.
    if (!absl::StartsWith(folder, "/")) continue;
    at = std::next(folders.insert(at, std::string(folder)));
  }
  return folders;
}

// Those of the candidates' folders that hold the programs, with the version of
// the first one; an error if none of them can be run.
absl::StatusOr<std::vector<Binaries>> Installed(
    bool path_first, const std::vector<const char*>& programs) {
  std::vector<Binaries> installed;
  absl::Status failure;
  for (const std::string& folder : Candidates(path_first)) {
    if (!Holds(folder, programs)) continue;
    const absl::StatusOr<int> version =
        MajorVersion(absl::StrCat(folder, "/", programs[0]));
    if (version.ok()) {
      installed.push_back({folder, *version});
    } else {
      failure = version.status();
    }
  }
  if (installed.empty() && !failure.ok()) return failure;
  return installed;
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
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::vector<Binaries> installed,
      Installed(/*path_first=*/true, {"postgres", "initdb"}));
  for (const Binaries& binaries : installed) {
    if (major_version ? binaries.major_version == *major_version
                      : binaries.major_version >= kOldestMajorVersion) {
      return binaries;
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
  USERPROFILE_ASSIGN_OR_RETURN(
      const std::vector<Binaries> installed,
      Installed(/*path_first=*/false, {"pg_dump", "pg_restore", "psql"}));
  const Binaries* best = nullptr;
  for (const Binaries& binaries : installed) {
    if (binaries.major_version >= major_version &&
        (best == nullptr || binaries.major_version < best->major_version)) {
      best = &binaries;
    }
  }
  if (best != nullptr) return *best;
  return absl::FailedPreconditionError(absl::StrCat(
      "there is no pg_dump of PostgreSQL ", major_version,
      ", which the server is, or newer",
      HowToInstall(absl::StrCat("postgresql-client-", major_version))));
}

}  // namespace userprofile::postgres
