#include "tests/support/own_cluster.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/steady_time.h"
#include "gtest/gtest.h"
#include "server/postgres/session.h"
#include "tests/support/test_cluster.h"

namespace userprofile::testing {

OwnCluster::OwnCluster() { Start(); }

void OwnCluster::Start() {
  cluster_ = StartTestCluster(directory_ / "postgres");
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
  constexpr char kLoaded[] = "SELECT pg_conf_load_time()";
  Execute(absl::StrCat("ALTER SYSTEM SET ", setting));
  const std::string before(Execute(kLoaded).Text(0, 0));
  Execute("SELECT pg_reload_conf()");
  const base::SteadyTime give_up = base::SteadyTime::Now() + absl::Seconds(30);
  while (Execute(kLoaded).Text(0, 0) == before) {
    ASSERT_LT(base::SteadyTime::Now(), give_up) << setting;
  }
  // Whether commits wait for a standby is what the checkpointer has read, which
  // looks for new settings before it does what it is asked for.
  Execute("CHECKPOINT");
}

void OwnCluster::Signal(int signal) { SignalCluster(cluster_->pid(), signal); }

}  // namespace userprofile::testing
