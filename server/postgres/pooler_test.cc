#include "server/postgres/pooler.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/steady_time.h"
#include "server/postgres/errors.h"
#include "server/postgres/process.h"
#include "server/postgres/session.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;
using ::userprofile::testing::TempDir;
using ::userprofile::testing::TestDatabase;

constexpr absl::Duration kStartPatience = absl::Seconds(30);

// Of Debian's package pgbouncer, or on the path; empty if there is none.
std::string FindPgBouncer() {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : std::vector<std::string>(absl::StrSplit(
           absl::StrCat("/usr/sbin:", path == nullptr ? "" : path), ':'))) {
    std::string program = absl::StrCat(folder, "/pgbouncer");
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return "";
}

// Whether somebody listens on a Unix socket.
bool Accepts(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool accepts = connect(fd, reinterpret_cast<const sockaddr*>(&address),
                               sizeof address) == 0;
  close(fd);
  return accepts;
}

// A database with a PgBouncer before it.
class PoolerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    program_ = FindPgBouncer();
    if (program_.empty()) {
      GTEST_SKIP() << "POOLERS ARE NOT TESTED: there is no pgbouncer "
                      "(apt-get install pgbouncer)";
    }
  }

  ~PoolerTest() override {
    if (pid_ == 0) return;
    kill(pid_, SIGQUIT);
    WaitForEnd(pid_);
  }

  // Starts it, with more lines for its file.
  void Start(const std::string& settings) {
    const std::string socket = HostOf(database_.conninfo());
    Command command;
    const auto account = AccountFor(folder_.path());
    ASSERT_TRUE(account.ok()) << account.status();
    command.account = *account;
    const std::string home = folder_ / "pgbouncer";
    ASSERT_TRUE(MakeFolder(home, 0755, *account).ok());
    const std::string file = folder_ / "pgbouncer.ini";
    std::ofstream(file) << "[databases]\n* = host=" << socket
                        << " port=5432 user=userprofile\n[pgbouncer]\n"
                        << "listen_port = 5432\nunix_socket_dir = " << home
                        << "\nauth_type = any\n"
                        << settings;
    command.words = {program_, "-q", file};
    const auto pid = Spawn(command);
    ASSERT_TRUE(pid.ok()) << pid.status();
    pid_ = *pid;
    options_.conninfo =
        absl::StrReplaceAll(database_.conninfo(), {{socket, home}});
    const base::SteadyTime end = base::SteadyTime::Now() + kStartPatience;
    while (!Accepts(absl::StrCat(home, "/.s.PGSQL.5432"))) {
      ASSERT_LT(base::SteadyTime::Now(), end);
      absl::SleepFor(absl::Milliseconds(10));
    }
  }

  static std::string HostOf(const std::string& conninfo) {
    const std::string rest = conninfo.substr(conninfo.find("host=") + 5);
    return rest.substr(0, rest.find(' '));
  }

  TestDatabase database_;
  TempDir folder_;
  std::string program_;
  pid_t pid_ = 0;
  ConnectOptions options_;
};

void ExpectUnsupported(const absl::Status& status) {
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_FALSE(!SqlState(status).empty() && MayHaveTakenEffect(status));
  EXPECT_EQ(base::ErrorReason(status),
            base::ReasonName(v1::ERROR_REASON_POOLER_UNSUPPORTED))
      << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("pool_mode = session"));
}

TEST_F(PoolerTest, IsRefusedInTransactionMode) {
  Start("pool_mode = transaction\n");
  ExpectUnsupported(Connect(options_).status());
}

TEST_F(PoolerTest, IsRefusedInStatementMode) {
  Start("pool_mode = statement\n");
  ExpectUnsupported(Connect(options_).status());
}

TEST_F(PoolerTest, IsRefusedWithASingleBackend) {
  Start("pool_mode = transaction\ndefault_pool_size = 1\n");
  ExpectUnsupported(Connect(options_).status());
}

TEST_F(PoolerTest, IsUsedInSessionMode) {
  Start("pool_mode = session\n");
  const auto session = Connect(options_);
  ASSERT_TRUE(session.ok()) << session.status();
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE((*session)->Execute({"one", "SELECT $1::int"}, {"1"}).ok());
  }
}

TEST_F(PoolerTest, IsUsedInSessionModeThatHasNoSecondSession) {
  Start("pool_mode = session\ndefault_pool_size = 1\n");
  const auto session = Connect(options_);
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_TRUE((*session)->ExecuteScript("SELECT 1").ok());
}

constexpr Statement kProven = {
    "proven", "SELECT 1 WHERE current_setting('userprofile.serving')::boolean"};

// What a statement meets that reaches a backend which nobody configured, or
// from which the settings were taken again.
TEST(ServingSettingTest, TellsASessionOfOursFromAnyOther) {
  TestDatabase database;
  const auto session = database.Connect();
  const auto rows = session->Execute(kProven, {});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->size(), 1);

  ASSERT_TRUE(session->ExecuteScript("RESET ALL").ok());
  ExpectUnsupported(session->Execute(kProven, {}).status());
  EXPECT_FALSE(session->healthy());

  ExpectUnsupported(
      ErrorFromSqlState("42704",
                        "FEHLER: nicht erkannter Konfigurationsparameter "
                        "\xC2\xBBuserprofile.serving\xC2\xAB"));
}

}  // namespace
}  // namespace userprofile::postgres
