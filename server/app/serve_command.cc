#include <pthread.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "ops/logging.h"
#include "ops/logging_flags.h"
#include "server/app/command_flags.h"
#include "server/app/commands.h"
#include "server/app/server.h"
#include "server/base/mutex.h"
#include "spdlog/spdlog.h"

namespace userprofile::app {
namespace {

struct ServeCommand {
  ServeOptions serve;
  ops::LoggingOptions logging;
};

// Blocks the signals that stop the program in this thread and in all that it
// starts, for AwaitStopSignal to take them.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

std::string AwaitStopSignal(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal == SIGTERM ? "SIGTERM" : "SIGINT";
}

// Between the thread that serves and the one that takes the signals.
class StopRequest {
 public:
  // False, and nothing is requested, while the server is starting.
  bool Make() {
    base::MutexLock lock(mutex_);
    if (!started_) return false;
    made_ = true;
    changed_.SignalAll();
    return true;
  }

  void SetStarted() {
    base::MutexLock lock(mutex_);
    started_ = true;
  }

  void Await() {
    base::MutexLock lock(mutex_);
    while (!made_) changed_.Wait(mutex_);
  }

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool made_ ABSL_GUARDED_BY(mutex_) = false;
};

// Ends the process where nothing has to be finished, or nothing shall be.
// PostgreSQL, if it is ours, ends with it and recovers when it is started
// again.
void TakeStopSignals(const sigset_t& signals, StopRequest& stop) {
  const std::string first = AwaitStopSignal(signals);
  if (!stop.Make()) {
    spdlog::info("{} while starting: stopped at once", first);
    std::_Exit(ops::kDone);
  }
  spdlog::info("{}: finishing what is in flight; once more stops at once",
               first);
  spdlog::warn("{} again: stopped at once", AwaitStopSignal(signals));
  std::_Exit(ops::kFailed);
}

int Serve(const ServeCommand& command) {
  if (absl::Status status = ops::SetUpLogging(command.logging); !status.ok()) {
    return Fail(status);
  }
  const sigset_t signals = BlockStopSignals();
  const auto stop = std::make_shared<StopRequest>();
  std::thread([signals, stop] { TakeStopSignals(signals, *stop); }).detach();
  auto server = Server::Start(command.serve);
  if (!server.ok()) return Fail(server.status());
  stop->SetStarted();
  stop->Await();
  (*server)->Stop();
  spdlog::info("stopped");
  return ops::kDone;
}

}  // namespace

void AddServeCommand(ops::CommandLine& command_line) {
  CLI::App* app = command_line.AddCommand(command_line.root(), "serve",
                                          "Answer calls until SIGTERM");
  auto command = std::make_shared<ServeCommand>();
  ServeOptions& serve = command->serve;
  ops::AddFlag(app, "--listen", serve.listen, "HOST:PORT for calls (gRPC)");
  ops::AddFlag(app, "--admin-listen", serve.admin_listen,
               "HOST:PORT for /livez, /readyz and /metrics (HTTP)");
  ops::AddSwitch(app, "--insecure", serve.insecure,
                 "Listen beyond loopback although callers are not identified");
  AddDatabaseFlags(app, serve.database);
  ops::AddSwitch(
      app, "--migrate", serve.migrate,
      "Migrate an external database first (an embedded one always is)");
  ops::AddFlag(app, "--max-batch", serve.max_batch,
               "Most requests in one statement; 1 turns batching off");
  ops::AddFlag(app, "--max-in-flight", serve.max_in_flight,
               "Most requests of a kind held; more are refused");
  ops::AddFlag(app, "--read-connections", serve.read_connections,
               "Database connections for GetProfile");
  ops::AddFlag(app, "--upsert-connections", serve.upsert_connections,
               "Database connections for UpsertUser");
  ops::AddFlag(app, "--onboarding-connections", serve.onboarding_connections,
               "Database connections for CompleteOnboarding");
  ops::AddDurationFlag(
      app, "--max-timeout", serve.max_timeout,
      "Longest time for a call, and for one without a deadline");
  ops::AddDurationFlag(app, "--drain-delay", serve.drain_delay,
                       "How long calls are still taken once NOT_SERVING was "
                       "said; on Kubernetes 5s",
                       absl::ZeroDuration());
  ops::AddDurationFlag(app, "--drain-timeout", serve.drain_timeout,
                       "How long to wait for calls in flight when stopping");
  ops::AddLoggingFlags(app, command->logging);
  command_line.OnCall(app, [command] { return Serve(*command); });
}

}  // namespace userprofile::app
