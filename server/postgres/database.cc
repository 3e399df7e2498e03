#include "server/postgres/database.h"

#include <unistd.h>

#include <cstdlib>
#include <limits>
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
#include "server/postgres/server_identity.h"
#include "spdlog/spdlog.h"

namespace userprofile::postgres {
namespace {

constexpr char kEmbedded[] = "embedded:";

// How long a server may take to open its database, for a command that wants to
// share it.
constexpr absl::Duration kStartPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(100);

// How often all hosts are asked, counted from when they are.
constexpr absl::Duration kLookInterval = absl::Seconds(1);

// How many statements of connections that were given up PostgreSQL may go on
// with, before no new ones are made: about as many as there are lanes.
constexpr std::size_t kMostGivenUp = 7;

constexpr Statement kIsSuperuser = {
    "is_superuser",
    "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user"};

// Where it can't be asked not at all.
void WarnOfSuperuser(Session& session) {
  const auto rows = session.Execute(kIsSuperuser, {});
  if (!rows.ok() || rows->empty() || !rows->Bool(0, 1)) return;
  spdlog::warn(
      "the role {} is a superuser, which nothing here needs: what others hang "
      "on tables (triggers, defaults, policies) runs with its rights. "
      "deploy/postgres/roles.sql makes roles that are none",
      std::string(rows->Text(0, 0)));
}

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

absl::StatusOr<std::shared_ptr<Database::Target>> Database::Target::Make(
    std::string conninfo, std::string database_file, std::string cluster_file) {
  USERPROFILE_ASSIGN_OR_RETURN(auto cluster, KnownCluster::Load(cluster_file));
  USERPROFILE_ASSIGN_OR_RETURN(std::vector<Host> hosts, HostsOf(conninfo));
  auto target = std::shared_ptr<Target>(
      new Target(std::move(database_file), std::move(cluster_file)));
  base::MutexLock lock(target->mutex_);
  target->place_ = {std::move(conninfo), std::move(hosts), std::move(cluster)};
  return target;
}

Database::Place Database::Target::place() const {
  base::MutexLock lock(mutex_);
  return place_;
}

void Database::Target::SetReached(const Place& place) {
  base::MutexLock lock(mutex_);
  if (place_.conninfo == place.conninfo) reached_ = place;
}

bool Database::Target::IsAt(absl::string_view conninfo) const {
  base::MutexLock lock(mutex_);
  return reached_.conninfo == conninfo;
}

absl::StatusOr<bool> Database::Target::Reload() {
  if (file_.empty()) return false;
  absl::StatusOr<std::string> text = base::ReadValueFile(file_);
  absl::Status status = text.ok() ? CheckExternal(*text) : text.status();
  absl::StatusOr<std::vector<Host>> hosts = std::vector<Host>();
  if (status.ok()) {
    hosts = HostsOf(*text);
    status = hosts.status();
  }
  base::MutexLock lock(mutex_);
  if (status.ok()) {
    logged_ = absl::OkStatus();
    if (*text != place_.conninfo) Go(*std::move(text), *std::move(hosts));
    return place_.conninfo != reached_.conninfo;
  }
  status = absl::InvalidArgumentError(absl::StrCat(
      "the database file ", file_,
      " can't be used; going on with what it held before: ", status.message()));
  if (logged_ != status) spdlog::error("{}", std::string(status.message()));
  logged_ = status;
  return status;
}

// Another password is the same cluster. Other hosts may be of another one: who
// wrote them knows, so what was known of the old one does not count there.
void Database::Target::Go(std::string conninfo, std::vector<Host> hosts) {
  const auto names_of = [](const std::vector<Host>& list) {
    std::vector<std::string> names;
    for (const Host& host : list) names.push_back(host.name);
    return names;
  };
  std::shared_ptr<KnownCluster> cluster;
  for (const Place& known : {place_, reached_}) {
    if (names_of(known.hosts) == names_of(hosts)) cluster = known.cluster;
  }
  if (cluster != nullptr) {
    cluster->SaveAgain();
  } else {
    cluster = std::make_shared<KnownCluster>(cluster_file_);
  }
  place_ = {std::move(conninfo), std::move(hosts), std::move(cluster)};
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
    USERPROFILE_ASSIGN_OR_RETURN(
        database->target_, Target::Make(specification, options.database_file,
                                        options.cluster_file));
    if (use == Use::kServe) {
      database->lookout_ = std::make_unique<base::PeriodicThread>(
          [target = database->target_, survey = database->survey_] {
            const base::SteadyTime begun = base::SteadyTime::Now();
            const Place place = target->place();
            if (place.hosts.size() > 1) {
              survey->Look(place.hosts, *place.cluster);
            }
            return begun + kLookInterval - base::SteadyTime::Now();
          });
    }
    return database;
  }
  if (directory.empty()) {
    return absl::InvalidArgumentError("--database embedded: lacks a directory");
  }
  USERPROFILE_RETURN_IF_ERROR(database->OpenEmbedded(
      std::string(directory), use, options.cluster_file));
  return database;
}

absl::Status Database::OpenEmbedded(const std::string& directory, Use use,
                                    const std::string& cluster_file) {
  embedded_ = true;
  *warn_of_superuser_ = false;  // it is nobody else's
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
    absl::Status status = Own(directory,
                              use == Use::kServe ? DirectoryHolder::kServer
                                                 : DirectoryHolder::kCommand,
                              cluster_file);
    // Or somebody was faster, or a command had not said yet that it is one.
    if (status.ok() || HolderOf(directory) == holder) return status;
  }
}

absl::Status Database::Share(const std::string& directory) {
  const auto conninfo = EmbeddedCluster::ConninfoIfRunning(directory);
  if (!conninfo) return absl::UnavailableError("the server has ended");
  USERPROFILE_ASSIGN_OR_RETURN(target_, Target::Make(*conninfo, "", ""));
  return Sessions()().status();
}

absl::Status Database::Own(const std::string& directory, DirectoryHolder holder,
                           const std::string& cluster_file) {
  EmbeddedCluster::Options options;
  options.directory = directory;
  options.holder = holder;
  USERPROFILE_ASSIGN_OR_RETURN(cluster_,
                               EmbeddedCluster::Start(std::move(options)));
  USERPROFILE_ASSIGN_OR_RETURN(
      target_, Target::Make(cluster_->conninfo(), "", cluster_file));
  return absl::OkStatus();
}

absl::StatusOr<bool> Database::Reload() {
  USERPROFILE_ASSIGN_OR_RETURN(const bool moved, target_->Reload());
  if (moved) USERPROFILE_RETURN_IF_ERROR(ServingSessions()().status());
  return moved;
}

absl::StatusOr<std::string> Database::PrimaryConninfo() const {
  USERPROFILE_ASSIGN_OR_RETURN(Host host, Choose(target_->place(), *survey_));
  return std::move(host.conninfo);
}

absl::StatusOr<Host> Database::Choose(const Place& place, Survey& survey) {
  if (place.hosts.size() == 1) return place.hosts[0];
  return survey.FindPrimary(place.hosts, *place.cluster);
}

SessionFactory Database::Sessions() const {
  return Factory({}, std::numeric_limits<std::size_t>::max());
}

SessionFactory Database::ServingSessions() const {
  ConnectOptions options;
  options.answer_timeout = options.statement_timeout + absl::Seconds(2);
  return Factory(options, kMostGivenUp);
}

SessionFactory Database::ProbingSessions() const {
  ConnectOptions options;
  options.statement_timeout = absl::Seconds(2);
  options.answer_timeout = absl::Seconds(3);
  return Factory(options, kMostGivenUp);
}

SessionFactory Database::Factory(ConnectOptions options,
                                 std::size_t most_given_up) const {
  options.watchdog = watchdog_;
  return [options, most_given_up, target = target_, survey = survey_,
          given_up = given_up_,
          warn = warn_of_superuser_]() -> SessionFactory::result_type {
    target->Reload().status().IgnoreError();  // it is in the log
    const Place place = target->place();
    USERPROFILE_ASSIGN_OR_RETURN(const Host host, Choose(place, *survey));
    // Known once the session can be asked.
    const auto server = std::make_shared<ServerIdentity>();
    ConnectOptions now = options;
    now.conninfo = host.conninfo;
    now.is_primary = [server, cluster = place.cluster] {
      return cluster->IsCurrent(server->timeline);
    };
    now.wanted = [target, conninfo = place.conninfo,
                  is_primary = now.is_primary] {
      return is_primary() && target->IsAt(conninfo);
    };
    now.on_given_up = [given_up, server] { given_up->Add(*server); };
    USERPROFILE_ASSIGN_OR_RETURN(auto session, Connect(now));
    USERPROFILE_ASSIGN_OR_RETURN(*server, AskIdentity(*session));
    USERPROFILE_RETURN_IF_ERROR(place.cluster->Admit(*server, host.name));
    USERPROFILE_RETURN_IF_ERROR(given_up->Check(*session, most_given_up));
    target->SetReached(place);
    if (warn->exchange(false)) WarnOfSuperuser(*session);
    return session;
  };
}

}  // namespace userprofile::postgres
