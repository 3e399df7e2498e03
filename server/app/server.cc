#include "server/app/server.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/error_info.h"
#include "base/status_macros.h"
#include "base/steady_time.h"
#include "ops/admin_server.h"
#include "ops/http_server.h"
#include "ops/listen.h"
#include "ops/metrics.h"
#include "ops/readiness.h"
#include "server/access/access.h"
#include "server/access/connections.h"
#include "server/api/user_profile_service.h"
#include "server/app/migration_at_start.h"
#include "server/app/reloader.h"
#include "server/app/socket_path_lock.h"
#include "server/app/status_page.h"
#include "server/app/version.h"
#include "server/postgres/errors.h"
#include "server/postgres/observed_sessions.h"
#include "server/postgres/write_probe.h"
#include "server/schema/monitor.h"
#include "server/schema/own_tables.h"
#include "server/schema/report_format.h"
#include "server/store/errors.h"
#include "server/store/postgres_store.h"
#include "server/transport/grpc_server.h"
#include "server/transport/health_service.h"
#include "server/transport/reflection_service.h"
#include "spdlog/spdlog.h"

namespace userprofile::app {
namespace {

constexpr absl::Duration kMigrationPatience = absl::Seconds(2);

// Every kind is there, so that one without breaches shows as 0.
void ShowBreaches(const schema::Report& report, ops::Metrics& metrics) {
  for (const schema::Severity severity :
       {schema::Severity::kBlocking, schema::Severity::kAdvisory}) {
    const char* const name =
        severity == schema::Severity::kBlocking ? "blocking" : "advisory";
    for (std::size_t kind = 0; kind < std::size(schema::kFaultNames); ++kind) {
      const auto count =
          std::count_if(report.breaches.begin(), report.breaches.end(),
                        [&](const schema::Breach& breach) {
                          return breach.severity == severity &&
                                 static_cast<std::size_t>(breach.fault) == kind;
                        });
      ops::Gauge(
          &metrics, "userprofile_schema_breaches",
          "Breaches of the schema contract that are there now, by kind and "
          "severity: blocking ones stop serving, advisory ones cost speed.",
          {{"severity", name}, {"kind", schema::kFaultNames[kind]}})
          .Set(static_cast<double>(count));
    }
  }
}

ops::AdminPages AdminPagesOf(const ops::Readiness& readiness,
                             const ops::Metrics& metrics,
                             const StatusPage& status) {
  return {[&readiness]() -> std::string {
            const absl::Status state = readiness.state();
            if (state.ok()) return "";
            return absl::StrCat(base::ErrorReason(state), ": ",
                                state.message());
          },
          [&metrics] { return metrics.Text(); }, status.Pages()};
}

}  // namespace

absl::Status ServeOptions::Validate() const {
  const std::string& listen = grpc.address;
  USERPROFILE_RETURN_IF_ERROR(tls.Validate());
  if (!ops::IsLoopback(listen)) {
    if (!callers_file.empty() && tls.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "would listen on ", listen,
          ", beyond loopback, where anybody on the way could read the tokens "
          "of the callers; --callers needs --tls-cert and --tls-key there"));
    }
    if (!insecure && callers_file.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "would listen on ", listen,
          ", beyond loopback, where anybody could read and change every "
          "profile; give --tls-cert, --tls-key and --callers, or say "
          "--insecure if only trusted programs can reach that address"));
    }
  }
  if (!ops::IsLoopback(admin_listen) && !insecure && !admin_insecure) {
    return absl::InvalidArgumentError(absl::StrCat(
        "would show what goes on to everybody who can reach ", admin_listen,
        ", beyond loopback; say --admin-insecure, or --insecure for both "
        "ports, if that is meant"));
  }
  return absl::OkStatus();
}

// In the order in which they are built.
struct Server::Parts {
  ops::Metrics metrics;
  ops::Gauge certificate_expiry{
      &metrics, "userprofile_tls_certificate_expiry_timestamp_seconds",
      "Until when the server's certificate holds; 0 without TLS."};
  ops::Readiness readiness{&metrics};
  api::RecentFailures recent_failures;
  std::atomic<bool> may_use_sessions = false;  // as the monitor saw last
  StatusPage status{kVersion, metrics, readiness, recent_failures};
  std::unique_ptr<postgres::Database> database;
  std::unique_ptr<MigrationAtStart> migration;
  std::unique_ptr<postgres::WriteProbe> write_probe;
  std::unique_ptr<schema::Monitor> monitor;
  std::unique_ptr<store::PostgresStore> store;
  std::unique_ptr<store::Trimmer> trimmer;
  std::unique_ptr<transport::Tls> tls;
  std::unique_ptr<access::Access> access;
  std::unique_ptr<access::Connections> connections;
  std::unique_ptr<api::UserProfileService> service;
  std::unique_ptr<transport::HealthService> health;
  std::unique_ptr<transport::ReflectionService> reflection;
  std::unique_ptr<base::FileLock> socket_path;
  std::unique_ptr<transport::GrpcServer> grpc;
  std::unique_ptr<Reloader> reloader;
  std::unique_ptr<ops::HttpServer> admin;
};

Server::Server(const ServeOptions& options)
    : drain_delay_(options.drain_delay),
      drain_timeout_(options.drain_timeout),
      parts_(std::make_unique<Parts>()) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServeOptions& options) {
  USERPROFILE_RETURN_IF_ERROR(options.Validate());
  auto server = std::unique_ptr<Server>(new Server(options));
  Parts& parts = *server->parts_;
  ops::Gauge(&parts.metrics, "userprofile_build_info",
             "Always 1; says what this program is.", {{"version", kVersion}})
      .Set(1);

  USERPROFILE_RETURN_IF_ERROR(server->LoadAccess(options));
  USERPROFILE_ASSIGN_OR_RETURN(
      parts.database, postgres::Database::Open(
                          options.database, postgres::Database::Use::kServe));
  if (parts.database->embedded() || options.migrate) {
    parts.migration = std::make_unique<MigrationAtStart>(
        postgres::ObserveSessions(parts.database->Sessions(), parts.metrics),
        options.new_table);
    // So that a new database has its table before anybody asks. Not for long:
    // a server whose migration takes its time shall be seen to be alive.
    if (parts.database->embedded()) {
      parts.migration->WaitFor(kMigrationPatience);
    }
  }

  const postgres::SessionFactory probing = postgres::ObserveSessions(
      parts.database->ProbingSessions(), parts.metrics);
  ShowBreaches(schema::Report(), parts.metrics);
  schema::MonitorOptions monitor;
  monitor.on_report = [&parts](const schema::Report& report) {
    parts.may_use_sessions =
        report.usable_tables.contains(schema::kSessionsTable);
    ShowBreaches(report, parts.metrics);
    parts.status.SetSchema(schema::FormatJson(report));
  };
  parts.write_probe =
      std::make_unique<postgres::WriteProbe>(probing, &parts.readiness);
  parts.monitor = std::make_unique<schema::Monitor>(probing, &parts.readiness,
                                                    std::move(monitor));

  store::PostgresStoreOptions store = options.store;
  store.connect = postgres::ObserveSessions(parts.database->ServingSessions(),
                                            parts.metrics);
  store.metrics = &parts.metrics;
  store.health_grace = schema::MonitorOptions().unreachable_grace;
  store.on_health = [&parts](const char* lane, const absl::Status& status) {
    const std::string state = postgres::SqlState(status);
    parts.readiness.SetLane(lane, status.ok()     ? ""
                                  : state.empty() ? "no connection"
                                                  : "SQLSTATE " + state);
  };
  store.may_use_sessions = [&parts] { return parts.may_use_sessions.load(); };
  store.explain_schema_error = [&parts] {
    const absl::Status state = parts.monitor->CheckNow();
    return state.ok() ? store::SchemaChanged() : state;
  };
  parts.store = std::make_unique<store::PostgresStore>(std::move(store));

  store::TrimmerOptions trimmer = options.trimmer;
  trimmer.may_write = [&parts] { return parts.readiness.AdmitRequest().ok(); };
  trimmer.may_use_sessions = [&parts] { return parts.may_use_sessions.load(); };
  parts.trimmer = std::make_unique<store::Trimmer>(
      postgres::ObserveSessions(parts.database->ServingSessions(),
                                parts.metrics),
      std::move(trimmer));

  parts.connections = std::make_unique<access::Connections>(options.connections,
                                                            &parts.metrics);
  api::UserProfileServiceOptions service = options.service;
  service.connections = parts.connections.get();
  service.recent_failures = &parts.recent_failures;
  parts.service = std::make_unique<api::UserProfileService>(
      *parts.store, parts.readiness, parts.metrics, *parts.access, service);
  parts.health = std::make_unique<transport::HealthService>(parts.readiness);
  parts.reflection =
      std::make_unique<transport::ReflectionService>(*parts.access);
  transport::GrpcServerOptions grpc = options.grpc;
  grpc.metrics = &parts.metrics;
  if (parts.tls != nullptr) grpc.credentials = parts.tls->ServerCredentials();
  USERPROFILE_ASSIGN_OR_RETURN(parts.socket_path, LockSocketPath(grpc.address));
  USERPROFILE_ASSIGN_OR_RETURN(
      parts.grpc,
      transport::GrpcServer::Start(
          grpc, *parts.connections,
          {parts.service.get(), parts.health.get(), parts.reflection.get()}));
  USERPROFILE_ASSIGN_OR_RETURN(
      parts.admin,
      ops::StartAdminServer(
          options.admin_listen,
          AdminPagesOf(parts.readiness, parts.metrics, parts.status)));
  spdlog::info("listening on {}, for people and probes on http://{}",
               server->address(), server->admin_address());
  return server;
}

// What tells who calls: before anything that takes long, so that a wrong file
// is known at once.
absl::Status Server::LoadAccess(const ServeOptions& options) {
  Parts& parts = *parts_;
  std::vector<Reloadable> reloadables;
  if (!options.tls.empty()) {
    USERPROFILE_ASSIGN_OR_RETURN(parts.tls, transport::Tls::Load(options.tls));
    const auto show_expiry = [&parts] {
      parts.certificate_expiry.Set(
          static_cast<double>(absl::ToUnixSeconds(parts.tls->expires())));
    };
    show_expiry();
    reloadables.push_back({"the TLS certificate", [&parts, show_expiry] {
                             auto changed = parts.tls->Reload();
                             show_expiry();
                             return changed;
                           }});
  }
  if (options.callers_file.empty()) {
    parts.access = std::make_unique<access::Access>(parts.metrics);
  } else {
    USERPROFILE_ASSIGN_OR_RETURN(
        parts.access,
        access::Access::Load(options.callers_file,
                             ops::IsLoopback(options.grpc.address),
                             parts.metrics));
    reloadables.push_back(
        {"the list of callers",
         [access = parts.access.get()] { return access->Reload(); }});
  }
  if (!reloadables.empty()) {
    parts.reloader = std::make_unique<Reloader>(std::move(reloadables));
  }
  return absl::OkStatus();
}

Server::~Server() { Stop(); }

void Server::Stop() {
  if (parts_ == nullptr) return;
  parts_->readiness.ShutDown();
  if (parts_->migration != nullptr) parts_->migration->GiveUpWaiting();
  if (parts_->grpc != nullptr) absl::SleepFor(drain_delay_);
  const base::SteadyTime deadline = base::SteadyTime::Now() + drain_timeout_;
  // Sessions of calls, of the monitor and of a migration alike may wait for
  // PostgreSQL without an end.
  if (parts_->database != nullptr) parts_->database->InterruptAt(deadline);
  if (parts_->service != nullptr) parts_->service->Shutdown();
  if (parts_->health != nullptr) parts_->health->Shutdown();
  if (parts_->reflection != nullptr) parts_->reflection->Shutdown();
  if (parts_->grpc != nullptr) parts_->grpc->Shutdown(deadline);
  if (parts_->store != nullptr) parts_->store->Shutdown(deadline);
  parts_.reset();
}

void Server::Reload() {
  const absl::StatusOr<bool> changed = parts_->database->Reload();
  if (!changed.ok()) {
    spdlog::error("the database file is read again: {}",
                  std::string(changed.status().message()));
  } else {
    spdlog::info("the database file is read again: {}",
                 *changed ? "connections are made anew" : "nothing changed");
  }
}

const std::string& Server::address() const { return parts_->grpc->address(); }

const std::string& Server::admin_address() const {
  return parts_->admin->address();
}

}  // namespace userprofile::app
