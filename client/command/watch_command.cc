#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/read_file.h"
#include "base/replace_file.h"
#include "base/status_macros.h"
#include "client/command/commands.h"
#include "client/command/errors.h"
#include "client/command/filter.h"
#include "client/command/output.h"
#include "userprofile/v1/user_profile_service.pb.h"

namespace userprofile::command {
namespace {

constexpr char kWatchHelp[] =
    R"(Prints who changes, as it happens, until Ctrl-C or SIGTERM; then it says on
stderr from which token to go on. Who was deleted, or is none of those whom the
filter lets pass (any more), is told by their id. While the service is away it
is waited for, as long as --timeout.

To have all users, and all changes since, without a gap:
  userprofile list --output json --resume-file watch.token >users.jsonl
  userprofile watch --output json --resume-file watch.token >>changes.jsonl
A watch that was killed is started again like that: nothing is left out; the
event under way may come twice.)";

struct WatchOptions : CommonOptions {
  FilterOptions filter;
  std::string from;
  std::string resume_file;
  bool include_contacts = false;
};

// The token of the last event that was written. Ends the program at SIGINT or
// SIGTERM, but not while an event is being written. Lives as long as the
// program, for the thread that waits for signals does.
class LastToken {
 public:
  // To be made before any other thread is: they must not take the signals.
  LastToken() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    std::thread([this] { AwaitSignal(); }).detach();
  }

  // Writes an event; if that goes well, its token is the last one.
  absl::Status Write(const std::string& token,
                     const std::function<absl::Status()>& write) {
    base::MutexLock lock(mutex_);
    USERPROFILE_RETURN_IF_ERROR(write());
    token_ = token;
    return absl::OkStatus();
  }

  void Tell() {
    base::MutexLock lock(mutex_);
    TellLocked();
  }

 private:
  void TellLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (token_.empty()) return;
    std::cerr << "userprofile: go on with --from " << token_ << std::endl;
  }

  void AwaitSignal() {
    int signal;
    sigwait(&signals_, &signal);
    // A second one ends it even if nobody takes what it writes.
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
    base::MutexLock lock(mutex_);
    TellLocked();
    std::_Exit(ops::kDone);
  }

  sigset_t signals_;
  base::Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
};

// Where to go on: as the file says, once it is there.
absl::StatusOr<std::string> FirstToken(const WatchOptions& options) {
  if (options.resume_file.empty()) return options.from;
  const auto exists = base::ReadFile(options.resume_file);
  if (absl::IsNotFound(exists.status())) return options.from;
  return base::ReadValueFile(options.resume_file);
}

int Watch(const WatchOptions& options) {
  auto& last = *new LastToken;
  v1::WatchProfilesRequest request;
  auto filter = MakeFilter(options.filter);
  if (!filter.ok()) return Fail(filter.status());
  *request.mutable_filter() = *std::move(filter);
  request.set_include_contacts(options.include_contacts);
  auto token = FirstToken(options);
  if (!token.ok()) return Fail(token.status());
  if (!token->empty()) request.set_resume_token(*token);
  const int exit_code =
      RunWith(options, [&](client::ProfileClient& client, Output& output) {
        absl::Status written;
        const absl::Status watched =
            client.Watch(request, [&](const v1::WatchProfilesResponse& event) {
              written = last.Write(event.resume_token(), [&]() -> absl::Status {
                output.WriteEvent(event);
                USERPROFILE_RETURN_IF_ERROR(output.Flush());
                if (options.resume_file.empty()) return absl::OkStatus();
                return base::ReplaceFile(options.resume_file,
                                         event.resume_token() + "\n");
              });
              return written.ok();
            });
        return watched.ok() ? written : watched;
      });
  last.Tell();
  return exit_code;
}

}  // namespace

void AddWatchCommand(ops::CommandLine& command_line) {
  const ops::Command command = command_line.AddCommand(
      command_line.root(), "watch", "Print who changes, as it happens");
  command.Footer(kWatchHelp);
  const auto options = std::make_shared<WatchOptions>();
  AddFilterFlags(command, options->filter);
  ops::AddFlag(command, "--from", options->from,
               "Begin after the event with this token, not now")
      .TypeName("TOKEN")
      .OnlyHere();
  ops::AddFlag(command, "--resume-file", options->resume_file,
               "Keeps the token of the last event, and goes on from it; --from "
               "counts until there is the file")
      .TypeName("FILE")
      .OnlyHere();
  ops::AddSwitch(command, "--include-contacts", options->include_contacts,
                 "Tell of contacts that change nothing, too")
      .OnlyHere();
  AddCommonFlags(command, *options);
  command_line.OnCall(command, [options] { return Watch(*options); });
}

}  // namespace userprofile::command
