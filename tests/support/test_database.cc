#include "tests/support/test_database.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include <spdlog/spdlog.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "server/postgres/binaries.h"
#include "server/postgres/embedded_cluster.h"
#include "server/postgres/process.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {
namespace {

namespace fs = std::filesystem;

void EndUnlessOk(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "test database: %s\n", status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T ValueOrEnd(absl::StatusOr<T> value) {
  EndUnlessOk(value.status());
  return *std::move(value);
}

absl::StatusOr<std::unique_ptr<postgres::EmbeddedCluster>> StartIn(
    const std::string& directory) {
  postgres::EmbeddedCluster::Options options;
  options.directory = directory;
  options.durable = false;
  return postgres::EmbeddedCluster::Start(std::move(options));
}

// Where the directory of a new cluster is kept, in the build directory.
std::string Template() {
  return absl::StrCat(
      USERPROFILE_TEST_CLUSTER_TEMPLATE, "-",
      ValueOrEnd(postgres::FindBinaries(absl::nullopt)).major_version);
}

// Copies a directory, with the owners of what is in it.
bool Copy(const std::string& from, const std::string& to) {
  postgres::Command command;
  command.words = {"/bin/cp", "-a", from, to};
  const auto outcome = postgres::RunToEnd(std::move(command));
  return outcome.ok() && outcome->exit_code == 0;
}

// The server that the program's tests share.
class SharedServer {
 public:
  static SharedServer& Get() {
    static SharedServer server;
    return server;
  }

  void Start() {
    if (cluster_ != nullptr) return;
    cluster_ = ValueOrEnd(StartIn(directory_ / "postgres"));
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
    if (!CopyTemplate()) MakeTemplate();
    Start();
  }

  // A directory made by a test program before us, which spares us initdb.
  bool CopyTemplate() {
    std::error_code error;
    if (!fs::exists(Template(), error)) return false;
    if (Copy(Template(), directory_ / "postgres")) return true;
    fs::remove_all(directory_ / "postgres", error);
    return false;
  }

  // Keeps what a first start makes. Of programs that do so at the same time,
  // one succeeds. What fails here costs only time.
  void MakeTemplate() {
    Start();
    Stop();
    const std::string copy = absl::StrCat(Template(), ".", getpid());
    std::error_code error;
    if (Copy(directory_ / "postgres", copy)) {
      fs::rename(copy, Template(), error);
    }
    fs::remove_all(copy, error);
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

postgres::Rows ExecuteIn(absl::string_view database, absl::string_view sql) {
  return ValueOrEnd(
      ConnectTo(SharedServer::Get().Conninfo(database))->ExecuteScript(sql));
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
  return ConnectTo(conninfo_);
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
