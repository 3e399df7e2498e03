#include <pthread.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "nlohmann/json.hpp"
#include "ops/logging.h"
#include "ops/logging_flags.h"
#include "server/app/command_flags.h"
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

// Blocks the signals that the program is told things by in this thread and in
// all that it starts, for TakeSignals to take them.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

int AwaitSignal(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

// Between the thread that serves and the one that takes the signals.
class Requests {
 public:
  enum class Kind { kReload, kStop };

  // False, and nothing is requested, while the server is starting.
  bool Make(Kind kind) {
    base::MutexLock lock(mutex_);
    if (!started_) return false;
    (kind == Kind::kStop ? stop_ : reload_) = true;
    changed_.SignalAll();
    return true;
  }

  void SetStarted() {
    base::MutexLock lock(mutex_);
    started_ = true;
  }

  Kind Await() {
    base::MutexLock lock(mutex_);
    while (!stop_ && !reload_) changed_.Wait(mutex_);
    if (stop_) return Kind::kStop;
    reload_ = false;
    return Kind::kReload;
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool reload_ ABSL_GUARDED_BY(mutex_) = false;
};

// Ends the process where nothing has to be finished, or nothing shall be.
// PostgreSQL, if it is ours, ends with it and recovers when it is started
// again.
void TakeSignals(const sigset_t& signals, Requests& requests) {
  bool stopping = false;
  while (true) {
    const int signal = AwaitSignal(signals);
    const char* name = signal == SIGTERM ? "SIGTERM" : "SIGINT";
    if (signal == SIGHUP) {
      requests.Make(Requests::Kind::kReload);
    } else if (stopping) {
      spdlog::warn("{} again: stopped at once", name);
      std::_Exit(ops::kFailed);
    } else if (requests.Make(Requests::Kind::kStop)) {
      stopping = true;
      spdlog::info("{}: finishing what is in flight; once more stops at once",
                   name);
    } else {
      spdlog::info("{} while starting: stopped at once", name);
      std::_Exit(ops::kDone);
    }
  }
}

// So that connections of callers don't take those to the database.
void RaiseOpenFilesLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Serve(const ServeCommand& command) {
  if (absl::Status status = ops::SetUpLogging(command.logging); !status.ok()) {
    return Fail(status);
  }
  RaiseOpenFilesLimit();
  const sigset_t signals = BlockSignals();
  const auto requests = std::make_shared<Requests>();
  std::thread([signals, requests] {
    TakeSignals(signals, *requests);
  }).detach();
  auto server = Server::Start(command.serve);
  if (!server.ok()) return Fail(server.status());
  requests->SetStarted();
  while (requests->Await() == Requests::Kind::kReload) (*server)->Reload();
  (*server)->Stop();
  spdlog::info("stopped");
  return ops::kDone;
}

void AddServeFlags(CLI::App* app, ServeCommand& command) {
  ServeOptions& serve = command.serve;
  ops::AddFlag(app, "--listen", serve.listen, "HOST:PORT for calls (gRPC)");
  ops::AddFlag(
      app, "--admin-listen", serve.admin_listen,
      "HOST:PORT for the status page, /livez, /readyz and /metrics (HTTP)");
  ops::AddFlag(app, "--tls-cert", serve.tls.certificate,
               "PEM file with the certificate of the port for calls");
  ops::AddFlag(app, "--tls-key", serve.tls.key, "PEM file with its key");
  ops::AddFlag(app, "--tls-client-ca", serve.tls.client_ca,
               "PEM file with whose client certificates to believe");
  ops::AddSwitch(app, "--tls-require-client-cert",
                 serve.tls.client_certificate_required,
                 "Talk only to clients that show such a certificate");
  ops::AddFlag(app, "--callers", serve.callers_file,
               "JSON file with who may call; see docs/operations.md");
  ops::AddSwitch(app, "--insecure", serve.insecure,
                 "Listen beyond loopback without TLS or callers");
  ops::AddSwitch(app, "--admin-insecure", serve.admin_insecure,
                 "Listen beyond loopback with --admin-listen");
  AddDatabaseFlags(app, serve.database);
  ops::AddSwitch(
      app, "--migrate", serve.migrate,
      "Migrate an external database first (an embedded one always is)");
  ops::AddSwitch(app, "--new-table", serve.new_table,
                 "With that, begin with an empty users table, or the one that "
                 "there is, although others look as if users were in them");
  ops::AddFlag(app, "--max-batch", serve.max_batch,
               "Most requests in one statement; 1 turns batching off");
  ops::AddDurationFlag(app, "--contact-interval", serve.contact_interval,
                       "A contact so soon after the last that changes nothing "
                       "is not written; 0 writes each",
                       absl::ZeroDuration());
  ops::AddFlag(app, "--max-in-flight", serve.max_in_flight,
               "Most requests of a kind held; more are refused");
  ops::AddFlag(app, "--max-in-flight-bytes", serve.max_in_flight_bytes,
               "Most bytes of requests held; more are refused");
  ops::AddFlag(app, "--max-rate", serve.max_rate,
               "Most calls of one caller a second; 0 for any number");
  ops::AddFlag(app, "--max-request-bytes", serve.max_request_bytes,
               "Largest request");
  ops::AddFlag(
      app, "--max-calls-per-connection", serve.max_calls_per_connection,
      "Most calls at a time on one connection; more wait at the client");
  ops::AddDurationFlag(app, "--max-connection-age", serve.max_connection_age,
                       "After this time a client has to connect again, and so "
                       "finds servers that were added");
  ops::AddDurationFlag(app, "--max-connection-age-grace",
                       serve.max_connection_age_grace,
                       "Time for calls on a connection that has to end");
  ops::AddFlag(app, "--read-connections", serve.read_connections,
               "Database connections for GetProfile");
  ops::AddFlag(app, "--upsert-connections", serve.upsert_connections,
               "Database connections for UpsertUser");
  ops::AddFlag(app, "--onboarding-connections", serve.onboarding_connections,
               "Database connections for CompleteOnboarding");
  ops::AddDurationFlag(
      app, "--max-timeout", serve.max_timeout,
      "Longest time for a call, and for one without a deadline");
  ops::AddDurationFlag(app, "--slow-request", serve.slow_request,
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
void PrintSettings(const ops::CommandLine& command_line, const CLI::App& app,
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
  CLI::App* app = command_line.AddCommand(command_line.root(), "serve",
                                          "Answer calls until SIGTERM");
  auto command = std::make_shared<ServeCommand>();
  AddServeFlags(app, *command);
  command_line.OnCall(app, [command] { return Serve(*command); });
}

void AddConfigCommand(ops::CommandLine& command_line) {
  CLI::App* config = command_line.AddCommand(command_line.root(), "config",
                                             "Look at the configuration");
  config->require_subcommand(1);
  CLI::App* app = command_line.AddCommand(
      config, "print",
      "Print what 'serve' would run with, given the same flags, environment "
      "and file, and where each value comes from; passwords are masked");
  auto command = std::make_shared<ServeCommand>();
  auto json = std::make_shared<bool>(false);
  AddServeFlags(app, *command);
  AddOutputFlag(app, *json);
  command_line.OnCall(app, [&command_line, app, command, json] {
    PrintSettings(command_line, *app, *command, *json);
    const absl::Status status = command->serve.Validate();
    return status.ok() ? static_cast<int>(ops::kDone) : Fail(status);
  });
}

}  // namespace userprofile::app
