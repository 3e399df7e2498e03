#include "tests/support/own_cluster.h"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/postgres/session.h"

namespace userprofile::testing {
namespace {

// As /proc says: "PID (NAME) STATE PARENT ...", and a name may hold blanks.
pid_t ParentOf(const std::filesystem::path& process) {
  std::ifstream file(process / "stat");
  std::string text;
  std::getline(file, text);
  pid_t parent = 0;
  const std::size_t name = text.rfind(") ");
  if (name == std::string::npos) return 0;
  std::string rest = text.substr(name + 4);  // behind the state, a letter
  rest.resize(std::min(rest.size(), rest.find(' ', 1)));
  return absl::SimpleAtoi(rest, &parent) ? parent : 0;
}

}  // namespace

OwnCluster::OwnCluster() { Start(); }

void OwnCluster::Start() {
  postgres::EmbeddedCluster::Options options;
  options.directory = directory_ / "postgres";
  auto cluster = postgres::EmbeddedCluster::Start(options);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  cluster_ = *std::move(cluster);
  conninfo_ = cluster_->conninfo();
}

postgres::Rows OwnCluster::Execute(absl::string_view sql) {
  postgres::ConnectOptions options;
  // libpq refuses one that is read-only by default.
  options.conninfo = absl::StrCat(
      conninfo_, " options='-c default_transaction_read_only=off'");
  auto session = postgres::Connect(options);
  EXPECT_TRUE(session.ok()) << session.status();
  if (!session.ok()) return {};
  EXPECT_TRUE((*session)->ExecuteScript("SET synchronous_commit = local").ok());
  auto rows = (*session)->ExecuteScript(sql);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *std::move(rows) : postgres::Rows();
}

void OwnCluster::Set(const std::string& setting) {
  Execute(absl::StrCat("ALTER SYSTEM SET ", setting));
  Execute("SELECT pg_reload_conf()");
}

void OwnCluster::Signal(int signal) {
  kill(cluster_->pid(), signal);
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    pid_t process;
    if (absl::SimpleAtoi(entry.path().filename().string(), &process) &&
        ParentOf(entry.path()) == cluster_->pid()) {
      kill(process, signal);
    }
  }
}

}  // namespace userprofile::testing
