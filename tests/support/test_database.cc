#include "tests/support/test_database.h"

#include <signal.h>

#include <utility>

#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "server/postgres/embedded_cluster.h"
#include "tests/support/end_unless_ok.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_cluster.h"

namespace userprofile::testing {
namespace {

// The server that the program's tests share.
class SharedServer {
 public:
  static SharedServer& Get() {
    static SharedServer server;
    return server;
  }

  void Start() {
    if (cluster_ != nullptr) return;
    cluster_ = StartTestCluster(directory_ / "postgres");
    conninfo_ = cluster_->conninfo();
  }

  void Stop() { cluster_.reset(); }

  void Kill() {
    if (cluster_ != nullptr && cluster_->pid() != 0) {
      kill(cluster_->pid(), SIGKILL);
    }
  }

  std::string Conninfo(absl::string_view database) const {
    return absl::StrReplaceAll(
        conninfo_, {{"dbname=userprofile", absl::StrCat("dbname=", database)}});
  }

  std::string NewName() { return absl::StrCat("test", ++databases_); }

 private:
  SharedServer() {
    // Made before us, the logger is destroyed after us.
    spdlog::default_logger_raw();
    Start();
  }

  TempDir directory_;
  std::unique_ptr<postgres::EmbeddedCluster> cluster_;
  std::string conninfo_;
  int databases_ = 0;
};

// Waits for a server that is just being started again.
std::unique_ptr<postgres::Session> ConnectTo(const std::string& conninfo) {
  postgres::ConnectOptions options;
  options.conninfo = conninfo;
  options.statement_timeout = absl::Seconds(30);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (true) {
    auto session = postgres::Connect(options);
    if (session.ok() || absl::Now() > deadline) {
      return ValueOrEnd(std::move(session));
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
}

// With the search path that the database has for others than the service.
std::unique_ptr<postgres::Session> ConnectAsOther(const std::string& conninfo) {
  auto session = ConnectTo(conninfo);
  ValueOrEnd(session->ExecuteScript("RESET search_path"));
  return session;
}

postgres::Rows ExecuteIn(absl::string_view database, absl::string_view sql) {
  return ValueOrEnd(ConnectAsOther(SharedServer::Get().Conninfo(database))
                        ->ExecuteScript(sql));
}

}  // namespace

TestDatabase::TestDatabase()
    : name_(SharedServer::Get().NewName()),
      conninfo_(SharedServer::Get().Conninfo(name_)) {
  ExecuteIn("postgres", absl::StrCat("CREATE DATABASE ", name_));
}

TestDatabase::~TestDatabase() {
  StartServer();
  ExecuteIn("postgres", absl::StrCat("DROP DATABASE ", name_, " (FORCE)"));
}

std::unique_ptr<postgres::Session> TestDatabase::Connect() const {
  return ConnectAsOther(conninfo_);
}

postgres::SessionFactory TestDatabase::session_factory() const {
  postgres::ConnectOptions options;
  options.conninfo = conninfo_;
  return [options] { return postgres::Connect(options); };
}

postgres::Rows TestDatabase::Execute(absl::string_view sql) const {
  return ExecuteIn(name_, sql);
}

void TestDatabase::CutConnections() {
  ExecuteIn("postgres", absl::StrCat("SELECT pg_terminate_backend(pid) FROM "
                                     "pg_stat_activity WHERE datname = '",
                                     name_, "'"));
}

void TestDatabase::StopServer() { SharedServer::Get().Stop(); }

void TestDatabase::StartServer() { SharedServer::Get().Start(); }

void TestDatabase::KillServer() { SharedServer::Get().Kill(); }

}  // namespace userprofile::testing
