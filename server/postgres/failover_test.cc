#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/steady_time.h"
#include "server/postgres/conninfo.h"
#include "server/postgres/database.h"
#include "server/postgres/errors.h"
#include "server/postgres/session.h"
#include "tests/support/captured_log.h"
#include "tests/support/replicated_database.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_database.h"

namespace userprofile::postgres {
namespace {

using ::testing::HasSubstr;
using ::userprofile::testing::CapturedLog;
using ::userprofile::testing::ReplicatedDatabase;
using ::userprofile::testing::TempDir;
using ::userprofile::testing::TestDatabase;

constexpr absl::Duration kPatience = absl::Seconds(60);

std::unique_ptr<Database> Serve(const std::string& conninfo,
                                const std::string& cluster_file = "",
                                const std::string& database_file = "") {
  DatabaseOptions options;
  options.database = conninfo;
  options.database_file = database_file;
  options.cluster_file = cluster_file;
  auto database = Database::Open(options, Database::Use::kServe);
  EXPECT_TRUE(database.ok()) << database.status();
  return *std::move(database);
}

// Where the server of a session is.
std::string SocketOf(Session& session) {
  const auto rows = session.ExecuteScript("SHOW unix_socket_directories");
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? std::string(rows->Text(0, 0)) : "";
}

std::string SocketOf(const std::string& conninfo) {
  return ReplicatedDatabase::Execute(conninfo, "SHOW unix_socket_directories");
}

void ExpectRefused(const absl::Status& status, v1::ErrorReason reason) {
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(base::ErrorReason(status), base::ReasonName(reason)) << status;
}

template <typename Condition>
bool Eventually(Condition condition) {
  const base::SteadyTime end = base::SteadyTime::Now() + kPatience;
  while (!condition()) {
    if (base::SteadyTime::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return true;
}

// A standby became a primary, and the one before does not know: it takes
// connections, and answers.
TEST(FailoverTest, LeavesAPrimaryThatWasReplacedWhileItAnswers) {
  ReplicatedDatabase servers;
  const auto database = Serve(servers.both_primary_first());
  const SessionFactory connect = database->ServingSessions();
  const auto before = connect();
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_EQ(SocketOf(**before), SocketOf(servers.primary()));

  servers.PromoteStandby();
  ASSERT_TRUE(Eventually([&] { return !(*before)->healthy(); }));
  EXPECT_FALSE((*before)->lost());
  const auto after = connect();
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(SocketOf(**after), SocketOf(servers.standby()));
  EXPECT_TRUE((*after)->healthy());
}

// Its commit waits for a standby that has become the primary.
TEST(FailoverTest, LeavesAPrimaryThatWasReplacedWhileItDoesNotAnswer) {
  const CapturedLog log;
  ReplicatedDatabase servers;
  ReplicatedDatabase::Execute(servers.primary(), "CREATE TABLE t (n int)");
  const auto database = Serve(servers.both_primary_first());
  const auto session = database->ServingSessions()();
  ASSERT_TRUE(session.ok()) << session.status();
  servers.PromoteStandby();
  const absl::Status status =
      (*session)->ExecuteScript("INSERT INTO public.t VALUES (1)").status();
  EXPECT_TRUE(MayHaveTakenEffect(status)) << status;
  EXPECT_TRUE((*session)->lost());
  // Sooner than one that does not answer at all.
  EXPECT_THAT(log.text(), HasSubstr("was replaced: a connection is given up"));
}

TEST(FailoverTest, TakesTheHigherTimelineOfTwoPrimariesInAnyOrder) {
  ReplicatedDatabase servers;
  servers.PromoteStandby();
  const std::string expected = SocketOf(servers.standby());
  for (const std::string& conninfo :
       {servers.both_primary_first(), servers.both_standby_first()}) {
    const auto session = Serve(conninfo)->ServingSessions()();
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_EQ(SocketOf(**session), expected);
    // PostgreSQL's programs go there, too.
    const auto program = Serve(conninfo)->PrimaryConninfo();
    ASSERT_TRUE(program.ok()) << program.status();
    EXPECT_THAT(*program, HasSubstr(expected));
    EXPECT_EQ(HostsOf(*program)->size(), 1u);
  }
}

TEST(FailoverTest, RefusesALowerTimelineThanItKnowsAlsoAfterARestart) {
  ReplicatedDatabase servers;
  servers.SetSynchronous(false);
  const TempDir folder;
  const std::string file = folder / "cluster";
  ASSERT_TRUE(Serve(servers.primary(), file)->ServingSessions()().ok());
  servers.PromoteStandby();
  ASSERT_TRUE(Serve(servers.standby(), file)->ServingSessions()().ok());

  const absl::Status status =
      Serve(servers.primary(), file)->ServingSessions()().status();
  ExpectRefused(status, v1::ERROR_REASON_DEPOSED_PRIMARY);
  for (const std::string& part :
       {HostsOf(servers.primary())->front().name, std::string("timeline 1"),
        std::string("timeline 2"), absl::StrCat("delete ", file)}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(part));
  }
  std::remove(file.c_str());
  EXPECT_TRUE(Serve(servers.primary(), file)->ServingSessions()().ok());
}

TEST(FailoverTest, SaysThatThereAreOnlyStandbys) {
  ReplicatedDatabase servers;
  const auto database = Serve(
      absl::StrCat(servers.standby(), " host=", SocketOf(servers.standby()),
                   ",/nonexistent"));
  ExpectRefused(database->ServingSessions()().status(),
                v1::ERROR_REASON_DATABASE_READ_ONLY);
}

TEST(FailoverTest, WaitsOnceForAHostThatIsSilent) {
  ReplicatedDatabase servers;
  const auto database = Serve(servers.both_standby_first());
  const SessionFactory connect = database->ServingSessions();
  servers.FreezeStandby();
  ASSERT_TRUE(connect().ok());  // which finds that out
  ASSERT_TRUE(Eventually([&] {
    const base::SteadyTime start = base::SteadyTime::Now();
    const auto session = connect();
    EXPECT_TRUE(session.ok()) << session.status();
    return base::SteadyTime::Now() - start < absl::Milliseconds(500);
  }));
}

TEST(FailoverTest, RefusesAnotherClusterUnlessTheDatabaseFileNamesIt) {
  TestDatabase one;
  TempDir folder;
  const std::string cluster_file = folder / "cluster";
  const std::string database_file = folder / "database";
  std::ofstream(cluster_file) << "system_identifier 1\ntimeline 7\n";
  ExpectRefused(
      Serve(one.conninfo(), cluster_file)->ServingSessions()().status(),
      v1::ERROR_REASON_WRONG_DATABASE);

  std::ofstream(database_file) << "host=/nonexistent";
  const auto database = Serve("", cluster_file, database_file);
  EXPECT_FALSE(database->ServingSessions()().ok());
  std::ofstream(database_file) << one.conninfo();
  const auto reloaded = database->Reload();
  EXPECT_TRUE(reloaded.value_or(false)) << reloaded.status();
  EXPECT_TRUE(Serve(one.conninfo(), cluster_file)->ServingSessions()().ok());
}

TEST(FailoverTest, RefusesAClusterFileThatHoldsSomethingElse) {
  TempDir folder;
  const std::string file = folder / "cluster";
  std::ofstream(file) << "something else";
  DatabaseOptions options;
  options.database = "host=/nonexistent";
  options.cluster_file = file;
  EXPECT_TRUE(absl::IsInvalidArgument(
      Database::Open(options, Database::Use::kServe).status()));
}

TEST(FailoverTest, KnowsTheTimelineAlsoWhereTheClusterIsNotTold) {
  TestDatabase database;
  database.Execute(
      "CREATE ROLE blind LOGIN;"
      "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
  const auto opened = Serve(absl::StrCat(database.conninfo(), " user=blind"));
  const auto session = opened->ServingSessions()();
  EXPECT_TRUE(session.ok()) << session.status();
  database.Execute(
      "DROP ROLE blind;"
      "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC");
}

// With the standby gone for good, each write would leave a backend behind.
// A pooler may let the first query of a session wait.
TEST(GivenUpWritesTest, AreNotThoseOfWhomNothingIsKnown) {
  TestDatabase database;
  const auto session = database.Connect();
  GivenUpBackends given_up;
  given_up.Add({});
  given_up.Add({});
  EXPECT_EQ(given_up.Check(*session, 0), absl::OkStatus());
}

TEST(GivenUpWritesTest, DoNotUseUpTheDatabase) {
  constexpr int kMost = 8;
  ReplicatedDatabase servers;
  ReplicatedDatabase::Execute(servers.primary(),
                              "CREATE TABLE public.t (n int)");
  const auto database = Serve(servers.primary());
  const SessionFactory connect = database->ServingSessions();
  const SessionFactory probe = database->ProbingSessions();
  servers.FreezeStandby();
  const auto write = [](Session& session) {
    return session.ExecuteScript("INSERT INTO public.t VALUES (1)").status();
  };

  // At once, for each is given up after seconds.
  std::vector<std::unique_ptr<Session>> sessions;
  std::vector<std::future<absl::Status>> writes;
  for (int i = 0; i < kMost; ++i) {
    auto session = connect();
    ASSERT_TRUE(session.ok()) << session.status();
    sessions.push_back(*std::move(session));
  }
  ASSERT_TRUE(probe().ok());
  for (const auto& session : sessions) {
    writes.push_back(
        std::async(std::launch::async, [&] { return write(*session); }));
  }
  for (auto& result : writes) {
    EXPECT_TRUE(absl::IsUnavailable(result.get()));
  }
  EXPECT_EQ(servers.WaitingCommits(), kMost);
  ExpectRefused(connect().status(), v1::ERROR_REASON_REPLICATION_STALLED);
  ExpectRefused(probe().status(), v1::ERROR_REASON_REPLICATION_STALLED);

  servers.ThawStandby();
  ASSERT_TRUE(Eventually([&] { return servers.WaitingCommits() == 0; }));
  absl::StatusOr<std::unique_ptr<Session>> session;
  ASSERT_TRUE(Eventually([&] {
    session = probe();
    return session.ok();
  })) << session.status();
  EXPECT_TRUE(write(**session).ok());
  EXPECT_EQ(ReplicatedDatabase::Execute(
                servers.primary(),
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE"
                " 'INSERT INTO public.t%' AND state = 'active'"),
            "0");
}

}  // namespace
}  // namespace userprofile::postgres
