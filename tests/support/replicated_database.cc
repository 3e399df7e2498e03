#include "tests/support/replicated_database.h"

#include <signal.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/steady_time.h"
#include "server/postgres/binaries.h"
#include "server/postgres/process.h"
#include "tests/support/end_unless_ok.h"
#include "tests/support/test_cluster.h"

namespace userprofile::testing {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kTick = absl::Milliseconds(20);

// Waits for `condition`, or ends the program.
template <typename Condition>
void Await(const char* what, Condition condition) {
  const base::SteadyTime end = base::SteadyTime::Now() + kPatience;
  while (!condition()) {
    if (base::SteadyTime::Now() > end) {
      EndUnlessOk(absl::DeadlineExceededError(what));
    }
    absl::SleepFor(kTick);
  }
}

// The host of a connection string in words, as EmbeddedCluster has it.
absl::string_view HostOf(absl::string_view conninfo) {
  conninfo.remove_prefix(conninfo.find("host=") + 5);
  return conninfo.substr(0, conninfo.find(' '));
}

// The same with another host, or several.
std::string WithHost(absl::string_view conninfo, absl::string_view host) {
  const absl::string_view rest =
      conninfo.substr(std::string("host=").size() + HostOf(conninfo).size());
  return absl::StrCat("host=", host, rest);
}

const postgres::Binaries& ServerPrograms() {
  static const postgres::Binaries binaries =
      ValueOrEnd(postgres::FindBinaries(absl::nullopt));
  return binaries;
}

const std::string& ClientPrograms() {
  static const std::string folder =
      ValueOrEnd(postgres::FindClientPrograms(ServerPrograms().major_version))
          .folder;
  return folder;
}

// Runs a program to its end, which must be a good one; what it wrote.
std::string Run(postgres::Command command) {
  const std::string name = command.words[0];
  const postgres::Outcome outcome =
      ValueOrEnd(postgres::RunToEnd(std::move(command)));
  if (outcome.exit_code != 0) {
    EndUnlessOk(absl::InternalError(absl::StrCat(name, ": ", outcome.output)));
  }
  return std::string(absl::StripAsciiWhitespace(outcome.output));
}

}  // namespace

ReplicatedDatabase::ReplicatedDatabase()
    : primary_(StartTestCluster(directory_ / "primary")) {
  StartStandby();
  SetSynchronous(true);
}

ReplicatedDatabase::~ReplicatedDatabase() {
  ThawStandby();
  ThawPrimary();
  kill(standby_pid_, SIGQUIT);  // at once: nobody needs its data
  postgres::WaitForEnd(standby_pid_);
}

std::string ReplicatedDatabase::both_primary_first() const {
  return WithHost(primary(),
                  absl::StrCat(HostOf(primary()), ",", HostOf(standby())));
}

std::string ReplicatedDatabase::both_standby_first() const {
  return WithHost(primary(),
                  absl::StrCat(HostOf(standby()), ",", HostOf(primary())));
}

std::string ReplicatedDatabase::Execute(const std::string& conninfo,
                                        absl::string_view sql) {
  postgres::Command command;
  command.words = {absl::StrCat(ClientPrograms(), "/psql"),
                   "-XAtq",
                   "-v",
                   "ON_ERROR_STOP=1",
                   "-d",
                   conninfo,
                   "-c",
                   std::string(sql)};
  command.environment = {"PGOPTIONS=-csynchronous_commit=local"};
  return Run(std::move(command));
}

void ReplicatedDatabase::FreezeStandby() {
  SignalCluster(standby_pid_, SIGSTOP);
}

void ReplicatedDatabase::ThawStandby() { SignalCluster(standby_pid_, SIGCONT); }

void ReplicatedDatabase::FreezePrimary() {
  SignalCluster(primary_->pid(), SIGSTOP);
}

void ReplicatedDatabase::ThawPrimary() {
  SignalCluster(primary_->pid(), SIGCONT);
}

void ReplicatedDatabase::PromoteStandby() {
  Execute(standby(), "SELECT pg_promote()");
}

void ReplicatedDatabase::SetSynchronous(bool synchronous) {
  Execute(primary(), absl::StrCat("ALTER SYSTEM SET synchronous_standby_names ="
                                  " '",
                                  synchronous ? "*" : "", "'"));
  Execute(primary(), "SELECT pg_reload_conf()");
  const std::string wanted = synchronous ? "sync" : "async";
  Await("the standby's part", [&] {
    const std::string state =
        Execute(primary(), "SELECT sync_state FROM pg_stat_replication");
    return state == wanted || (!synchronous && state.empty());
  });
}

int ReplicatedDatabase::WaitingCommits() const {
  int count = 0;
  const std::string text = Execute(
      primary(),
      "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  if (!absl::SimpleAtoi(text, &count)) {
    EndUnlessOk(absl::InternalError(text));
  }
  return count;
}

void ReplicatedDatabase::CancelWaitingCommits() {
  Execute(primary(),
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
          " WHERE wait_event = 'SyncRep'");
}

void ReplicatedDatabase::StartStandby() {
  const std::string directory = directory_ / "standby";
  const postgres::Account account =
      ValueOrEnd(postgres::AccountFor(directory_ / "primary"));
  EndUnlessOk(postgres::MakeFolder(directory, 0700, account));
  const std::string data = absl::StrCat(directory, "/data");

  postgres::Command copy;
  copy.account = account;
  copy.words = {absl::StrCat(ClientPrograms(), "/pg_basebackup"),
                "--pgdata",
                data,
                "--dbname",
                primary(),
                "--checkpoint=fast",
                "--wal-method=stream",
                "--write-recovery-conf",
                "--no-sync",
                "--no-password"};
  Run(std::move(copy));

  postgres::Command server;
  server.account = account;
  server.words = {absl::StrCat(ServerPrograms().folder, "/postgres"), "-D",
                  data, "-k", directory};
  for (const char* setting :
       {"listen_addresses=", "port=5432", "fsync=off", "full_page_writes=off",
        "hot_standby=on", "shared_buffers=32MB", "jit=off",
        "wal_receiver_status_interval=1"}) {
    server.words.insert(server.words.end(), {"-c", setting});
  }
  standby_pid_ = ValueOrEnd(postgres::Spawn(server));
  standby_conninfo_ = WithHost(primary(), directory);
  Await("the standby", [this] {
    return Execute(primary(),
                   "SELECT count(*) FROM pg_stat_replication"
                   " WHERE state = 'streaming'") == "1";
  });
}

}  // namespace userprofile::testing
