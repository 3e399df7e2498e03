#include "server/postgres/binaries.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/support/temp_dir.h"

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;
using ::userprofile::testing::TempDir;

// A folder of programs that say they are this version, for $variable.
class PretendedVersion {
 public:
  PretendedVersion(const char* variable, const std::string& version)
      : variable_(variable) {
    if (const char* before = getenv(variable)) before_ = before;
    for (const char* program :
         {"postgres", "initdb", "pg_dump", "pg_restore", "psql"}) {
      std::ofstream(folder_ / program) << "#!/bin/sh\necho '" << program
                                       << " (PostgreSQL) " << version << "'\n";
      chmod((folder_ / program).c_str(), 0755);
    }
    setenv(variable, folder_.path().c_str(), 1);
  }
  ~PretendedVersion() {
    if (before_.empty()) {
      unsetenv(variable_);
    } else {
      setenv(variable_, before_.c_str(), 1);
    }
  }
  const std::string& folder() const { return folder_.path(); }

 private:
  const char* variable_;
  std::string before_;
  TempDir folder_;
};

constexpr char kVariable[] = "USERPROFILE_POSTGRES_BIN";

TEST(BinariesTest, AreThoseOfTheMachine) {
  const absl::StatusOr<Binaries> binaries = FindBinaries(absl::nullopt);
  ASSERT_TRUE(binaries.ok()) << binaries.status();
  EXPECT_GE(binaries->major_version, kOldestMajorVersion);
  EXPECT_EQ(FindBinaries(binaries->major_version)->folder, binaries->folder);
}

TEST(BinariesTest, AreThoseThatTheEnvironmentNames) {
  const PretendedVersion version(kVariable, "99.1 (Debian 99.1-1)");
  const absl::StatusOr<Binaries> binaries = FindBinaries(absl::nullopt);
  ASSERT_TRUE(binaries.ok()) << binaries.status();
  EXPECT_EQ(binaries->folder, version.folder());
  EXPECT_EQ(binaries->major_version, 99);
}

TEST(BinariesTest, AreThoseOfThePathBeforeDebians) {
  const PretendedVersion version("PATH", "98");
  EXPECT_EQ(FindBinaries(absl::nullopt)->folder, version.folder());
}

TEST(BinariesTest, CanBeThoseOfAPreRelease) {
  const PretendedVersion version(kVariable, "99beta1");
  EXPECT_EQ(FindBinaries(99)->major_version, 99);
}

TEST(BinariesTest, AreNotTooOld) {
  const PretendedVersion version(kVariable, "12.22");
  const absl::Status status = FindBinaries(absl::nullopt).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("install the Debian package `postgresql`"));
}

TEST(BinariesTest, AreOfTheVersionThatIsAskedFor) {
  const PretendedVersion version(kVariable, "16.1");
  const absl::Status status = FindBinaries(15).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("install the Debian package `postgresql-15`"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(version.folder()));
}

TEST(BinariesTest, AreNotSaidToBeMissingWhereTheyCannotBeRun) {
  PretendedVersion version(kVariable, "16.1");
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(version.folder());
  setenv(kVariable, ".", 1);  // programs run in another folder
  const absl::Status status = FindBinaries(absl::nullopt).status();
  const absl::Status client_status = FindClientPrograms(13).status();
  std::filesystem::current_path(before);
  EXPECT_EQ(client_status.code(), status.code());
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("./postgres can't be run"));
}

TEST(BinariesTest, OfClientsAreThoseOfTheServersVersionOrNewer) {
  const int version = FindBinaries(absl::nullopt)->major_version;
  EXPECT_EQ(FindClientPrograms(version)->major_version, version);

  const PretendedVersion other(kVariable, "16.1");
  EXPECT_EQ(FindClientPrograms(13)->folder, other.folder());
  EXPECT_EQ(FindClientPrograms(16)->folder, other.folder());
  const absl::Status status = FindClientPrograms(17).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("install the Debian package `postgresql-client-17`"));
}

}  // namespace
}  // namespace userprofile::postgres
