#include <pthread.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "nlohmann/json.hpp"
#include "ops/listen.h"
#include "ops/logging.h"
#include "server/app/commands.h"
#include "server/app/server.h"
#include "server/postgres/conninfo.h"
#include "spdlog/spdlog.h"

namespace userprofile::app {
namespace {

struct ServeCommand {
  ServeOptions serve;
  ops::LoggingOptions logging;
};

// Takes the signals that the program is told things by, on a thread of its own:
// they are blocked in this thread, and in all that it starts from now on.
class Signals {
 public:
  enum class Request { kReload, kStop };

  Signals() {
    sigemptyset(&signals_);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
      sigaddset(&signals_, signal);
    }
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    thread_ = std::thread([this] { Run(); });
  }

  ~Signals() {
    {
      base::MutexLock lock(mutex_);
      done_ = true;
    }
    pthread_kill(thread_.native_handle(), SIGHUP);
    thread_.join();
  }

  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Until then there is nothing to be finished or read again.
  void SetStarted() {
    base::MutexLock lock(mutex_);
    started_ = true;
  }

  Request Await() {
    base::MutexLock lock(mutex_);
    while (!stop_ && !reload_) changed_.Wait(mutex_);
    if (stop_) return Request::kStop;
    reload_ = false;
    return Request::kReload;
  }

 private:
  void Run() {
    while (true) {
      int signal = 0;
      while (sigwait(&signals_, &signal) != 0) {
      }
      base::MutexLock lock(mutex_);
      if (done_) return;
      if (signal != SIGHUP) Stop(signal == SIGTERM ? "SIGTERM" : "SIGINT");
      if (signal == SIGHUP && started_) reload_ = true;
      changed_.SignalAll();
    }
  }

  // Ends the process where nothing has to be finished, or nothing shall be.
  // PostgreSQL, if it is ours, ends with it and recovers when it is started
  // again.
  void Stop(const char* name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (stop_) {
      spdlog::warn("{} again: stopped at once", name);
      std::_Exit(ops::kFailed);
    }
    if (!started_) {
      spdlog::info("{} while starting: stopped at once", name);
      std::_Exit(ops::kDone);
    }
    stop_ = true;
    spdlog::info("{}: finishing what is in flight; once more stops at once",
                 name);
  }

  sigset_t signals_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool reload_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: the others are its own
};

int Serve(const ServeCommand& command) {
  if (absl::Status status = ops::SetUpLogging(command.logging); !status.ok()) {
    return Fail(status);
  }
  ops::RaiseOpenFilesLimit();
  Signals signals;
  auto server = Server::Start(command.serve);
  if (!server.ok()) return Fail(server.status());
  signals.SetStarted();
  while (signals.Await() == Signals::Request::kReload) (*server)->Reload();
  (*server)->Stop();
  spdlog::info("stopped");
  return ops::kDone;
}

void AddServeFlags(ops::Command app, ServeCommand& command) {
  ServeOptions& serve = command.serve;
  AddListenFlag(app, serve.grpc.address);
  ops::AddFlag(
      app, "--admin-listen", serve.admin_listen,
      "HOST:PORT for the status page, /livez, /readyz and /metrics (HTTP)");
  AddTlsFlags(app, serve.tls);
  ops::AddFlag(app, "--callers", serve.callers_file,
               "JSON file with who may call; see docs/operations.md");
  ops::AddSwitch(app, "--insecure", serve.insecure,
                 "Listen beyond loopback without TLS or callers");
  ops::AddSwitch(app, "--admin-insecure", serve.admin_insecure,
                 "Listen beyond loopback with --admin-listen");
  AddDatabaseFlags(app, serve.database);
  ops::AddFlag(
      app, "--cluster-file", serve.database.cluster_file,
      "A file that remembers which cluster the database is of, and its "
      "timeline");
  ops::AddSwitch(
      app, "--migrate", serve.migrate,
      "Migrate an external database first (an embedded one always is)");
  ops::AddSwitch(app, "--new-table", serve.new_table,
                 "With that, begin with an empty users table, or the one that "
                 "there is, although others look as if users were in them");
  ops::AddFlag(app, "--max-batch", serve.store.max_batch,
               "Most requests in one statement; 1 turns batching off");
  ops::AddDurationFlag(app, "--contact-interval", serve.store.contact_interval,
                       "A contact so soon after the last that changes nothing "
                       "is not written; 0 writes each",
                       absl::ZeroDuration(), absl::Hours(24));
  ops::AddSwitch(app, "--record-contacts", serve.store.record_contacts,
                 "Records contacts that change nothing for watches, too");
  ops::AddFlag(app, "--max-in-flight", serve.store.max_in_flight,
               "Most requests of a kind held; more are refused");
  ops::AddFlag(app, "--max-in-flight-bytes",
               serve.service.limits.max_in_flight_bytes,
               "Most bytes of requests held; more are refused");
  ops::AddFlag(app, "--max-rate", serve.service.limits.max_rate,
               "Most calls of one caller a second; 0 for any number",
               /*least=*/0);
  ops::AddFlag(app, "--max-request-bytes", serve.grpc.max_request_bytes,
               "Largest request");
  ops::AddFlag(
      app, "--max-calls-per-connection", serve.grpc.max_calls_per_connection,
      "Most calls at a time on one connection; more wait at the client");
  ops::AddFlag(app, "--max-connections", serve.connections.max_connections,
               "Most connections of callers; more are closed");
  ops::AddFlag(app, "--max-connections-per-address",
               serve.connections.max_connections_per_address,
               "Most of them from one address");
  ops::AddDurationFlag(app, "--max-connection-age",
                       serve.grpc.max_connection_age,
                       "After this time a client has to connect again, and so "
                       "finds servers that were added");
  ops::AddDurationFlag(app, "--max-connection-age-grace",
                       serve.grpc.max_connection_age_grace,
                       "Time for calls on a connection that has to end");
  ops::AddFlag(app, "--read-connections", serve.store.read_workers,
               "Database connections for GetProfile");
  ops::AddFlag(app, "--upsert-connections", serve.store.upsert_workers,
               "Database connections for UpsertUser");
  ops::AddFlag(app, "--edit-connections", serve.store.edit_workers,
               "Database connections for CompleteOnboarding, UpdateProfile and "
               "DeleteUser");
  ops::AddDurationFlag(
      app, "--max-timeout", serve.service.max_timeout,
      "Longest time for a call: of it and the caller's deadline, the earlier "
      "one wins");
  ops::AddDurationFlag(app, "--list-timeout", serve.service.list_timeout,
                       "Longest time that ListProfiles looks for users; then "
                       "it answers with those that it found");
  ops::AddFlag(app, "--max-watchers", serve.service.watch.max_watchers,
               "Most calls of WatchProfiles at a time");
  ops::AddFlag(app, "--max-watchers-per-caller",
               serve.service.watch.max_watchers_per_caller,
               "Most of them of one caller");
  ops::AddDurationFlag(app, "--changes-kept-for", serve.trimmer.kept_for,
                       "How long a watch may be away and go on where it was");
  ops::AddFlag(app, "--changes-kept", serve.trimmer.kept,
               "Most changes that are kept for that");
  ops::AddDurationFlag(app, "--slow-request", serve.service.slow_request,
                       "A call that takes so long is logged");
  ops::AddDurationFlag(app, "--drain-delay", serve.drain_delay,
                       "How long calls are still taken once NOT_SERVING was "
                       "said; on Kubernetes 5s",
                       absl::ZeroDuration());
  ops::AddDurationFlag(app, "--drain-timeout", serve.drain_timeout,
                       "How long to wait for calls in flight when stopping");
  ops::AddLoggingFlags(app, command.logging);
}

// A string as CLI11 reads it in TOML, where it knows no escapes.
std::string Quoted(const std::string& value) {
  const char quote = value.find('"') == std::string::npos ? '"' : '\'';
  return quote + value + quote;
}

// As a configuration file that would have the same effect, defaults in
// comments; or as JSON.
void PrintSettings(const ops::CommandLine& command_line, ops::Command app,
                   const ServeCommand& command, bool json) {
  nlohmann::ordered_json settings;
  for (auto& setting : command_line.SettingsOf(app)) {
    if (setting.key == "output") continue;
    if (setting.key == "database" && !command.serve.database.embedded()) {
      setting.value = postgres::Masked(setting.value);
    }
    settings[setting.key] = {{"value", setting.value},
                             {"source", setting.source}};
    if (json) continue;
    std::cout << (setting.source == "default" ? "# " : "") << setting.key
              << " = " << Quoted(setting.value) << "  # " << setting.source
              << "\n";
  }
  if (json) std::cout << settings.dump(2) << "\n";
  for (const std::string& variable : command_line.UnknownVariables()) {
    std::cerr << variable << " is set, but is no setting of this program\n";
  }
}

}  // namespace

void AddServeCommand(ops::CommandLine& command_line) {
  ops::Command app = command_line.AddCommand(command_line.root(), "serve",
                                             "Answer calls until SIGTERM");
  auto command = std::make_shared<ServeCommand>();
  AddServeFlags(app, *command);
  command_line.OnCall(app, [command] { return Serve(*command); });
}

void AddConfigCommand(ops::CommandLine& command_line) {
  ops::Command config = command_line.AddCommand(command_line.root(), "config",
                                                "Look at the configuration");
  ops::Command app = command_line.AddCommand(
      config, "print",
      "Print what 'serve' would run with, given the same flags, environment "
      "and file, and where each value comes from; passwords are masked");
  auto command = std::make_shared<ServeCommand>();
  auto json = std::make_shared<bool>(false);
  AddServeFlags(app, *command);
  ops::AddOutputFlag(app, *json);
  command_line.OnCall(
      app,
      [command] {
        const absl::Status status = command->serve.Validate();
        return status.ok() ? static_cast<int>(ops::kDone) : Fail(status);
      },
      [&command_line, app, command, json] {
        PrintSettings(command_line, app, *command, *json);
      });
}

}  // namespace userprofile::app
