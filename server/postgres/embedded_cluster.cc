#include "server/postgres/embedded_cluster.h"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/postgres/postmaster.h"
#include "server/postgres/process.h"
#include "server/postgres/session.h"
#include "server/postgres/socket_folder.h"

namespace userprofile::postgres {
namespace {

constexpr std::pair<const char*, const char*> kSettings[] = {
    {"listen_addresses", ""},
    {"port", "5432"},
    {"unix_socket_permissions", "0700"},
    {"max_connections", "50"},
    {"shared_buffers", "128MB"},
    {"jit", "off"},
    {"timezone", "UTC"},
    {"fsync", "on"},
    {"full_page_writes", "on"},
    {"synchronous_commit", "on"},
    // Errors and statements can hold users' data, so the log has neither: it
    // tells of PostgreSQL's own life (LOG, FATAL and PANIC).
    {"log_destination", "stderr"},
    {"logging_collector", "off"},
    {"log_line_prefix", "%m [%p] "},
    {"log_min_messages", "log"},
    {"log_min_error_statement", "panic"},
    {"log_error_verbosity", "terse"},
    {"log_statement", "none"},
    {"log_min_duration_statement", "-1"},
    {"log_checkpoints", "off"},
    {"log_autovacuum_min_duration", "-1"},
};

constexpr std::pair<const char*, const char*> kUndurableSettings[] = {
    {"fsync", "off"},
    {"full_page_writes", "off"},
};

// The words of the command that starts PostgreSQL; of settings that are named
// twice, the last one holds. DataFolder comes first (see StopOrphan).
std::vector<std::string> ServerCommand(const EmbeddedCluster::Options& options,
                                       const Binaries& binaries,
                                       const std::string& socket_folder) {
  std::vector<std::string> words = {absl::StrCat(binaries.folder, "/postgres"),
                                    "-D", DataFolder(options.directory), "-k",
                                    socket_folder};
  const auto set = [&](absl::string_view name, absl::string_view value) {
    words.push_back("-c");
    words.push_back(absl::StrCat(name, "=", value));
  };
  for (const auto& [name, value] : kSettings) set(name, value);
  if (!options.durable) {
    for (const auto& [name, value] : kUndurableSettings) set(name, value);
  }
  for (const auto& [name, value] : options.settings) set(name, value);
  return words;
}

// Makes the directory if it is missing, and gives its absolute path.
absl::StatusOr<std::string> MakeDirectory(const std::string& directory,
                                          const Account& account) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path path = fs::absolute(directory, error);
  if (!error && !fs::exists(path, error)) {
    fs::create_directories(path.parent_path(), error);
    if (!error) {
      USERPROFILE_RETURN_IF_ERROR(MakeFolder(path.string(), 0755, account));
    }
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("can't create ", directory));
  }
  const fs::path canonical = fs::canonical(path, error);
  if (error || !fs::is_directory(canonical, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is not a directory"));
  }
  return canonical.string();
}

std::string ConninfoFor(absl::string_view socket_folder,
                        absl::string_view database) {
  return absl::StrCat("host=", socket_folder, " port=5432 user=", kEmbeddedUser,
                      " dbname=", database);
}

}  // namespace

bool EmbeddedCluster::Exists(const std::string& directory) {
  std::error_code error;
  return std::filesystem::exists(DataFolder(directory), error);
}

absl::optional<std::string> EmbeddedCluster::ConninfoIfRunning(
    const std::string& directory) {
  if (HolderOf(directory) == DirectoryHolder::kNobody) return absl::nullopt;
  const std::string socket_folder = SocketFolderOf(directory);
  if (socket_folder.empty()) return absl::nullopt;
  return ConninfoFor(socket_folder, kEmbeddedDatabase);
}

absl::StatusOr<std::unique_ptr<EmbeddedCluster>> EmbeddedCluster::Start(
    Options options) {
  USERPROFILE_ASSIGN_OR_RETURN(const Account account,
                               AccountFor(options.directory));
  USERPROFILE_ASSIGN_OR_RETURN(options.directory,
                               MakeDirectory(options.directory, account));
  USERPROFILE_ASSIGN_OR_RETURN(
      std::unique_ptr<base::FileLock> lock,
      HoldDirectory(options.directory, options.holder));
  USERPROFILE_RETURN_IF_ERROR(
      StopOrphan(options.directory, options.stop_timeout));
  USERPROFILE_ASSIGN_OR_RETURN(
      const Binaries binaries,
      PrepareData(options.directory, account, options.durable));
  USERPROFILE_ASSIGN_OR_RETURN(
      std::unique_ptr<SocketFolder> sockets,
      SocketFolder::Create(options.directory, account));

  Postmaster::Options postmaster;
  postmaster.directory = options.directory;
  postmaster.command.words = ServerCommand(options, binaries, sockets->path());
  postmaster.command.directory = DataFolder(options.directory);
  postmaster.command.account = account;
  postmaster.start_timeout = options.start_timeout;
  postmaster.stop_timeout = options.stop_timeout;

  std::unique_ptr<EmbeddedCluster> cluster(
      new EmbeddedCluster(std::move(lock), std::move(sockets)));
  cluster->postmaster_ = std::make_unique<Postmaster>(std::move(postmaster));
  USERPROFILE_RETURN_IF_ERROR(cluster->postmaster_->WaitUntilReady());
  USERPROFILE_RETURN_IF_ERROR(cluster->CreateDatabase());
  return cluster;
}

EmbeddedCluster::EmbeddedCluster(std::unique_ptr<base::FileLock> lock,
                                 std::unique_ptr<SocketFolder> sockets)
    : lock_(std::move(lock)),
      sockets_(std::move(sockets)),
      conninfo_(ConninfoFor(sockets_->path(), kEmbeddedDatabase)) {}

EmbeddedCluster::~EmbeddedCluster() { Stop(); }

pid_t EmbeddedCluster::pid() const {
  return postmaster_ == nullptr ? 0 : postmaster_->pid();
}

void EmbeddedCluster::Stop() {
  postmaster_.reset();
  sockets_.reset();
  lock_.reset();
}

// Not a part of making the data: it needs a server that runs.
absl::Status EmbeddedCluster::CreateDatabase() const {
  ConnectOptions options;
  options.conninfo = ConninfoFor(sockets_->path(), "postgres");
  options.statement_timeout = absl::ZeroDuration();
  USERPROFILE_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session,
                               Connect(options));
  USERPROFILE_ASSIGN_OR_RETURN(
      const Rows found, session->ExecuteScript(absl::StrCat(
                            "SELECT 1 FROM pg_database WHERE datname = '",
                            kEmbeddedDatabase, "'")));
  if (!found.empty()) return absl::OkStatus();
  return session
      ->ExecuteScript(absl::StrCat("CREATE DATABASE ", kEmbeddedDatabase))
      .status();
}

}  // namespace userprofile::postgres
