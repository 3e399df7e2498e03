#include "server/postgres/database.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/read_file.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "server/postgres/conninfo.h"
#include "spdlog/spdlog.h"

namespace userprofile::postgres {
namespace {

constexpr char kEmbedded[] = "embedded:";

// How long a server may take to open its database, for a command that wants to
// share it.
constexpr absl::Duration kStartPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(100);

// Not an embedded database, but one to connect to.
absl::Status CheckExternal(const std::string& text) {
  if (absl::StrContains(text, "=") || absl::StrContains(text, "://")) {
    return CheckConninfo(text);
  }
  // Not quoted: it could be a password in the wrong place.
  return absl::InvalidArgumentError(
      "it is neither embedded:DIR nor a connection string "
      "(postgresql://user@host/name, or host=... dbname=...)");
}

}  // namespace

std::string Database::Target::conninfo() const {
  base::MutexLock lock(mutex_);
  return conninfo_;
}

void Database::Target::SetReached(const std::string& conninfo) {
  base::MutexLock lock(mutex_);
  if (conninfo_ == conninfo) reached_ = conninfo;
}

bool Database::Target::IsAt(absl::string_view conninfo) const {
  base::MutexLock lock(mutex_);
  return reached_ == conninfo;
}

absl::StatusOr<bool> Database::Target::Reload() {
  if (file_.empty()) return false;
  absl::StatusOr<std::string> text = base::ReadValueFile(file_);
  absl::Status status = text.ok() ? CheckExternal(*text) : text.status();
  base::MutexLock lock(mutex_);
  if (status.ok()) {
    logged_ = absl::OkStatus();
    conninfo_ = *std::move(text);
    return conninfo_ != reached_;
  }
  status = absl::InvalidArgumentError(absl::StrCat(
      "the database file ", file_,
      " can't be used; going on with what it held before: ", status.message()));
  if (logged_ != status) spdlog::error("{}", std::string(status.message()));
  logged_ = status;
  return status;
}

bool DatabaseOptions::embedded() const {
  return absl::StartsWith(database, kEmbedded);
}

std::string DatabaseOptions::DefaultDatabase() {
  if (geteuid() == 0) return absl::StrCat(kEmbedded, "/var/lib/userprofile");
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  std::string data = variable("XDG_DATA_HOME");
  if (data.empty()) data = absl::StrCat(variable("HOME"), "/.local/share");
  return absl::StrCat(kEmbedded, data, "/userprofile");
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(
    const DatabaseOptions& options, Use use) {
  std::string specification = options.database;
  if (!options.database_file.empty()) {
    USERPROFILE_ASSIGN_OR_RETURN(specification,
                                 base::ReadValueFile(options.database_file));
  }
  auto database = std::unique_ptr<Database>(new Database);
  absl::string_view directory = specification;
  if (!absl::ConsumePrefix(&directory, kEmbedded)) {
    USERPROFILE_RETURN_IF_ERROR(base::Annotate(
        CheckExternal(specification),
        absl::StrCat(options.database_file.empty() ? "--database"
                                                   : options.database_file,
                     ": ")));
    database->target_ =
        std::make_shared<Target>(options.database_file, specification);
    return database;
  }
  if (directory.empty()) {
    return absl::InvalidArgumentError("--database embedded: lacks a directory");
  }
  USERPROFILE_RETURN_IF_ERROR(
      database->OpenEmbedded(std::string(directory), use));
  return database;
}

absl::Status Database::OpenEmbedded(const std::string& directory, Use use) {
  embedded_ = true;
  const base::SteadyTime give_up = base::SteadyTime::Now() + kStartPatience;
  for (bool logged = false;; absl::SleepFor(kPoll)) {
    const DirectoryHolder holder = HolderOf(directory);
    if (holder == DirectoryHolder::kCommand) {
      if (!std::exchange(logged, true)) {
        spdlog::info("waiting for a command that works on {} to finish",
                     directory);
      }
      continue;
    }
    if (holder == DirectoryHolder::kServer && use != Use::kServe) {
      absl::Status status = Share(directory);
      if (status.ok() || base::SteadyTime::Now() > give_up) return status;
      continue;
    }
    if (use == Use::kInspect && !EmbeddedCluster::Exists(directory)) {
      return absl::NotFoundError(absl::StrCat(
          "there is no database in ", directory,
          "; 'userprofile-server serve' and 'migrate up' make one"));
    }
    absl::Status status =
        Own(directory, use == Use::kServe ? DirectoryHolder::kServer
                                          : DirectoryHolder::kCommand);
    // Or somebody was faster, or a command had not said yet that it is one.
    if (status.ok() || HolderOf(directory) == holder) return status;
  }
}

absl::Status Database::Share(const std::string& directory) {
  const auto conninfo = EmbeddedCluster::ConninfoIfRunning(directory);
  if (!conninfo) return absl::UnavailableError("the server has ended");
  target_ = std::make_shared<Target>("", *conninfo);
  return Sessions()().status();
}

absl::Status Database::Own(const std::string& directory,
                           DirectoryHolder holder) {
  EmbeddedCluster::Options options;
  options.directory = directory;
  options.holder = holder;
  USERPROFILE_ASSIGN_OR_RETURN(cluster_,
                               EmbeddedCluster::Start(std::move(options)));
  target_ = std::make_shared<Target>("", cluster_->conninfo());
  return absl::OkStatus();
}

absl::StatusOr<bool> Database::Reload() {
  USERPROFILE_ASSIGN_OR_RETURN(const bool moved, target_->Reload());
  if (moved) USERPROFILE_RETURN_IF_ERROR(ServingSessions()().status());
  return moved;
}

SessionFactory Database::ServingSessions() const {
  ConnectOptions options;
  options.answer_timeout = options.statement_timeout + absl::Seconds(2);
  return Factory(options);
}

SessionFactory Database::ProbingSessions() const {
  ConnectOptions options;
  options.statement_timeout = absl::Seconds(2);
  options.answer_timeout = absl::Seconds(3);
  return Factory(options);
}

SessionFactory Database::Factory(ConnectOptions options) const {
  options.watchdog = watchdog_;
  return [options,
          target = target_]() -> absl::StatusOr<std::unique_ptr<Session>> {
    target->Reload().status().IgnoreError();  // it is in the log
    ConnectOptions now = options;
    now.conninfo = target->conninfo();
    now.wanted = [target, conninfo = now.conninfo] {
      return target->IsAt(conninfo);
    };
    USERPROFILE_ASSIGN_OR_RETURN(auto session, Connect(now));
    target->SetReached(now.conninfo);
    return session;
  };
}

}  // namespace userprofile::postgres
