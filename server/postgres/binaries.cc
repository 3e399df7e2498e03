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
int MajorVersion(const std::string& program) {
  Command command;
  command.words = {program, "--version"};
  const absl::StatusOr<Outcome> outcome = RunToEnd(std::move(command));
  if (!outcome.ok()) return 0;
  const std::vector<std::string> words = absl::StrSplit(outcome->output, ' ');
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
  for (const std::string& folder : Candidates(/*path_first=*/true)) {
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
  for (std::string& folder : Candidates(/*path_first=*/false)) {
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
