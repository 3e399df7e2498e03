#include "tests/ha/patroni_cluster.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/support/end_unless_ok.h"

namespace userprofile::testing {
namespace {

constexpr int kEtcd = 100;  // its machine
constexpr absl::Duration kPatience = absl::Seconds(60);

// PostgreSQL's programs, where Debian has them.
const std::string& Programs() {
  static const std::string folder = [] {
    std::string newest;
    for (const auto& entry :
         std::filesystem::directory_iterator("/usr/lib/postgresql")) {
      newest = std::max(newest, (entry.path() / "bin").string());
    }
    return newest;
  }();
  return folder;
}

// A program that runs as PostgreSQL's user: here, or on a machine.
std::unique_ptr<Program> StartAsPostgres(std::vector<std::string> words,
                                         int machine = 0) {
  words.insert(words.begin(), {"setpriv", "--reuid=postgres",
                               "--regid=postgres", "--init-groups", "--"});
  if (machine != 0) words = Network::Words(machine, std::move(words));
  words.insert(words.begin(), "/usr/bin/env");
  return std::make_unique<Program>(
      Program::Options{std::move(words), {{"LC_ALL", "C.UTF-8"}}});
}

std::string Rest(int node, const std::string& path) {
  return absl::StrCat("http://", Network::Address(node), ":8008", path);
}

// GET of a node's Patroni; the status, 0 if it does not answer in a second.
int Ask(int node, const std::string& path) {
  int status = 0;
  const Outcome outcome = RunProgram(
      {{"/usr/bin/env", "curl", "--silent", "--max-time", "1", "--output",
        "/dev/null", "--write-out", "%{http_code}", Rest(node, path)}});
  return absl::SimpleAtoi(outcome.output, &status) ? status : 0;
}

std::string SqlOf(const std::string& user, const std::string& database,
                  int node) {
  return absl::StrCat("host=", Network::Address(node), " user=", user,
                      " dbname=", database, " connect_timeout=3");
}

Outcome Psql(int node, const std::string& database,
             std::vector<std::string> arguments) {
  std::vector<std::string> words = {"timeout",
                                    "5",
                                    "psql",
                                    "-XAtq",
                                    "-vON_ERROR_STOP=1",
                                    "-d",
                                    SqlOf("postgres", database, node)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  words = Network::Words(node, std::move(words));
  words.insert(words.begin(), "/usr/bin/env");
  return RunProgram({words, {{"PGOPTIONS", "-csynchronous_commit=local"}}});
}

void EndUnlessWell(const Outcome& outcome) {
  if (outcome.exit_code == 0) return;
  EndUnlessOk(absl::InternalError(outcome.errors));
}

// Writes a file of deploy/patroni, for this cluster instead of an example's.
void WriteRecipe(
    const std::string& name, const std::string& path,
    const std::vector<std::pair<std::string, std::string>>& changes) {
  std::ifstream recipe(absl::StrCat(RECIPES, "/", name));
  std::string text(std::istreambuf_iterator<char>(recipe), {});
  for (const auto& [from, to] : changes) {
    if (absl::StrReplaceAll({{from, to}}, &text) == 0) {
      EndUnlessOk(absl::InternalError(absl::StrCat(name, " has no ", from)));
    }
  }
  std::ofstream(path) << text;
}

void MustOwn(const std::string& path) {
  MustRun({"chown", "-R", "postgres:postgres", path});
}

}  // namespace

std::vector<std::string> PatroniCluster::Missing() {
  std::vector<std::string> missing;
  for (const char* program : {"patroni", "etcd", "haproxy", "pgbouncer", "ip",
                              "curl", "unshare", "setpriv", "psql"}) {
    const std::string test = absl::StrCat("command -v ", program);
    if (RunProgram({{"/bin/sh", "-c", test}}).exit_code != 0) {
      missing.push_back(program);
    }
  }
  return missing;
}

PatroniCluster::PatroniCluster() {
  network_.Add(kEtcd);
  const std::string etcd = absl::StrCat("http://", Network::Address(kEtcd));
  MustRun({"mkdir", directory_ / "etcd"});
  MustOwn(directory_ / "etcd");
  etcd_ =
      StartAsPostgres({"etcd", "--data-dir", directory_ / "etcd/data",
                       "--listen-client-urls", absl::StrCat(etcd, ":2379"),
                       "--advertise-client-urls", absl::StrCat(etcd, ":2379")},
                      kEtcd);
  for (int node = 1; node <= kNodes; ++node) {
    network_.Add(node);
    WriteConfiguration(node);
  }
  // The first one alone: so it becomes the primary.
  Start(1);
  if (AwaitPrimary() != 1) {
    EndUnlessOk(absl::InternalError(absl::StrCat(etcd_->errors(), Log(1))));
  }
  for (int node = 2; node <= kNodes; ++node) Start(node);
  if (AwaitWhole() != 1) EndUnlessOk(absl::InternalError(Log(2)));
  MakeDatabase(1);
  StartProxies();
}

PatroniCluster::~PatroniCluster() {
  for (int node = 1; node <= kNodes; ++node) KillNode(node);
  Network::KillAll(kEtcd);
}

std::string PatroniCluster::Url(const std::vector<int>& nodes) {
  return absl::StrCat("postgresql://userprofile_server@",
                      absl::StrJoin(nodes, ",",
                                    [](std::string* out, int node) {
                                      absl::StrAppend(out,
                                                      Network::Address(node));
                                    }),
                      "/userprofile?target_session_attrs=read-write");
}

std::string PatroniCluster::HaproxyUrl() {
  return "postgresql://userprofile_server@127.0.0.1:5000/userprofile";
}

std::string PatroniCluster::PgbouncerUrl() {
  return "postgresql://userprofile_server@127.0.0.1:6432/userprofile";
}

int PatroniCluster::Primary() {
  for (int node = 1; node <= kNodes; ++node) {
    if (Ask(node, "/primary") == 200) return node;
  }
  return 0;
}

int PatroniCluster::AwaitPrimary(int not_this) {
  int primary = 0;
  EXPECT_TRUE(Eventually(
      [&] {
        primary = Primary();
        return primary != 0 && primary != not_this;
      },
      kPatience))
      << "there is no primary";
  return primary;
}

int PatroniCluster::AwaitWhole() {
  int primary = 0;
  EXPECT_TRUE(Eventually(
      [&] {
        primary = Primary();
        // Patroni lets none but the standby that it has noted in etcd take
        // over, which it does after PostgreSQL waits for it.
        return primary != 0 &&
               RunProgram({{"/usr/bin/env", "curl", "--silent", "--max-time",
                            "1", Rest(primary, "/cluster")}})
                       .output.find("sync_standby") != std::string::npos &&
               Sql(primary,
                   "SELECT count(*), count(*) FILTER (WHERE sync_state ="
                   " 'sync') FROM pg_stat_replication"
                   " WHERE state = 'streaming'") ==
                   absl::StrCat(kNodes - 1, "|1");
      },
      kPatience))
      << "the cluster is not whole";
  return primary;
}

std::vector<int> PatroniCluster::StandbysOf(int primary) {
  const std::string names =
      Sql(primary,
          "SELECT substr(application_name, 3) FROM pg_stat_replication"
          " ORDER BY sync_state DESC");
  std::vector<int> standbys;
  for (const absl::string_view name :
       absl::StrSplit(names, '\n', absl::SkipEmpty())) {
    int node = 0;
    if (absl::SimpleAtoi(name, &node)) standbys.push_back(node);
  }
  EXPECT_EQ(standbys.size(), kNodes - 1U) << names;
  return standbys;
}

void PatroniCluster::SwitchOver(int to) {
  const int from = AwaitPrimary();
  if (from == to) return;
  const std::string request = absl::StrCat(
      "{\"leader\": \"pg", from, "\", \"candidate\": \"pg", to, "\"}");
  // Refused as long as it is not a synchronous standby.
  EXPECT_TRUE(Eventually(
      [&] {
        return RunProgram(
                   {{"/usr/bin/env", "curl", "--silent", "--fail", "--max-time",
                     "30", "--data", request, Rest(from, "/switchover")}})
                   .exit_code == 0;
      },
      kPatience));
  EXPECT_EQ(AwaitPrimary(from), to);
}

void PatroniCluster::KillNode(int node) {
  Network::KillAll(node);
  // Until it is waited for, PostgreSQL believes that one to run.
  patroni_[node] = nullptr;
  if (alone_ != nullptr && !alone_->running()) alone_ = nullptr;
}

void PatroniCluster::KillPatroni(int node) {
  patroni_[node]->Kill();
  patroni_[node] = nullptr;
}

void PatroniCluster::KillPostmaster(int node) {
  const std::string pids =
      MustRun({"ip", "netns", "pids", absl::StrCat("machine", node)}).output;
  std::string postmaster;
  for (const absl::string_view pid :
       absl::StrSplit(pids, '\n', absl::SkipEmpty())) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/cmdline"));
    std::string name;
    std::getline(file, name, '\0');
    if (name == absl::StrCat(Programs(), "/postgres"))
      postmaster = std::string(pid);
  }
  int pid = 0;
  ASSERT_TRUE(absl::SimpleAtoi(postmaster, &pid)) << pids;
  EXPECT_EQ(kill(pid, SIGKILL), 0);
}

void PatroniCluster::Start(int node) {
  patroni_[node] = StartAsPostgres(
      {"patroni", directory_ / absl::StrCat("n", node, "/patroni.yml")}, node);
}

void PatroniCluster::StartEmpty(int node) {
  MustRun({"rm", "-rf", Data(node)});
  Start(node);
}

void PatroniCluster::PromoteAlone(int node) {
  alone_ =
      StartAsPostgres({absl::StrCat(Programs(), "/postgres"), "-D", Data(node),
                       "-c", "synchronous_standby_names=", "-c",
                       "primary_conninfo=", "-c", "primary_slot_name="},
                      node);
  EXPECT_TRUE(Eventually([&] {
    return Sql(node, "SELECT pg_is_in_recovery()") == "t";
  })) << alone_->errors();
  Sql(node, "SELECT pg_promote()");
  EXPECT_TRUE(Eventually([&] {
    return Sql(node, "CREATE TABLE IF NOT EXISTS alone(); SELECT 'writes'") ==
           "writes";
  })) << alone_->errors();
}

std::string PatroniCluster::Sql(int node, absl::string_view sql,
                                const std::string& database) {
  return std::string(absl::StripAsciiWhitespace(
      Psql(node, database, {"-c", std::string(sql)}).output));
}

void PatroniCluster::Set(int node, const std::string& setting,
                         const std::string& value) {
  Sql(node, absl::StrCat("ALTER SYSTEM SET ", setting, " = '", value, "'"));
  Sql(node, "SELECT pg_reload_conf()");
  EXPECT_TRUE(Eventually(
      [&] { return Sql(node, absl::StrCat("SHOW ", setting)) == value; }));
}

std::string PatroniCluster::Log(int node) const {
  return patroni_[node] == nullptr ? "" : patroni_[node]->errors();
}

std::string PatroniCluster::Data(int node) const {
  return directory_ / absl::StrCat("n", node, "/data");
}

void PatroniCluster::WriteConfiguration(int node) const {
  const std::string folder = directory_ / absl::StrCat("n", node);
  MustRun({"mkdir", folder});
  WriteRecipe(
      "patroni.yml", absl::StrCat(folder, "/patroni.yml"),
      {{"10.0.0.11:", absl::StrCat(Network::Address(kEtcd), ":")},
       {"10.0.0.1:", absl::StrCat(Network::Address(node), ":")},
       {"10.0.0.0/24", Network::Range()},
       {"name: pg1", absl::StrCat("name: pg", node)},
       {"/var/lib/postgresql/userprofile", Data(node)},
       {"/var/lib/postgresql/patroni.pgpass", absl::StrCat(folder, "/pgpass")},
       {"/usr/lib/postgresql/15/bin", Programs()},
       {"/var/run/postgresql", folder},
       {"scram-sha-256", "trust"},
       {"/dev/watchdog", absl::StrCat(folder, "/no-watchdog")}});
  MustOwn(folder);
}

void PatroniCluster::StartProxies() {
  WriteRecipe("haproxy.cfg", directory_ / "haproxy.cfg",
              {{"10.0.0.1:", absl::StrCat(Network::Address(1), ":")},
               {"10.0.0.2:", absl::StrCat(Network::Address(2), ":")},
               {"10.0.0.3:", absl::StrCat(Network::Address(3), ":")}});
  haproxy_ =
      StartAsPostgres({"haproxy", "-db", "-f", directory_ / "haproxy.cfg"});
  std::ofstream(directory_ / "userlist.txt") << R"("userprofile_server" "")";
  WriteRecipe("pgbouncer.ini", directory_ / "pgbouncer.ini",
              {{"/etc/pgbouncer/userlist.txt", directory_ / "userlist.txt"},
               {"scram-sha-256", "trust"}});
  pgbouncer_ = StartAsPostgres({"pgbouncer", directory_ / "pgbouncer.ini"});
}

void PatroniCluster::MakeDatabase(int primary) {
  EndUnlessWell(
      Psql(primary, "postgres", {"-c", "CREATE DATABASE userprofile"}));
  // Before the tables for the migrator, after them for the server.
  EndUnlessWell(Psql(primary, "userprofile", {"-f", ROLES_SQL}));
  EndUnlessWell(
      RunProgram({{"userprofile-server", "migrate", "up", "--database",
                   absl::StrCat("postgresql://userprofile_migrator@",
                                Network::Address(primary), "/userprofile")}}));
  EndUnlessWell(Psql(primary, "userprofile", {"-f", ROLES_SQL}));
}

}  // namespace userprofile::testing
