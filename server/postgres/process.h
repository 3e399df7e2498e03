#ifndef USERPROFILE_SERVER_POSTGRES_PROCESS_H_
#define USERPROFILE_SERVER_POSTGRES_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/periodic_thread.h"

namespace userprofile::postgres {

// The user that PostgreSQL's programs run as, and who owns its files.
// PostgreSQL refuses to run as root.
struct Account {
  uid_t uid;
  gid_t gid;
  std::string name;

  // Whether it is another user than we are, which needs root.
  bool foreign;
};

// The account for the data of `directory` (which need not exist): our own,
// unless we are root. Root gives way to the owner of the database in there, to
// the owner of the directory, to the user `postgres`, or else to `nobody`.
absl::StatusOr<Account> AccountFor(const std::string& directory);

// Makes a folder with this mode for the account. An existing one is an error.
absl::Status MakeFolder(const std::string& path, mode_t mode,
                        const Account& account);

// A program to run. It gets an environment of its own (C locale, UTC), no open
// file of ours but those below, and a session of its own, so that Ctrl-C at our
// terminal does not reach it.
struct Command {
  // The program's path, then its arguments.
  std::vector<std::string> words;

  // Where it runs.
  std::string directory = "/";

  // Whom it runs as; absent means as we do.
  absl::optional<Account> account;

  // More of its environment: "NAME=value", each name once.
  std::vector<std::string> environment;

  // Where its input comes from, and its output and its errors go. -1 means
  // nowhere; errors go where the output goes.
  int input = -1;
  int output = -1;
  int errors = -1;

  // The signal that it is sent when the thread that started it ends, however
  // that comes about. So it can't outlive us.
  const char* death_signal = "KILL";
};

// Starts the program; its process is the caller's to wait for. An error says
// which step failed, in words for the person at the terminal:
// PERMISSION_DENIED if nothing can run as `account`, or it can't reach the
// program or the directory.
absl::StatusOr<pid_t> Spawn(const Command& command);

struct Outcome {
  int exit_code = 0;   // 128 + N when it was ended by signal N
  std::string output;  // what it wrote, errors included
};

// Says every second whether a program is still to run: OK, or why not. May
// block. Null: always.
using StillWanted = std::function<absl::Status()>;

// Runs the program to its end. Its output is kept, unless the command says
// where it goes: then only its errors are. Once it is not wanted it is killed,
// and the error is the one that says so.
absl::StatusOr<Outcome> RunToEnd(Command command, StillWanted wanted = nullptr);

// Waits for the end of a program; its exit code, as in Outcome.
int WaitForEnd(pid_t pid);

// A descriptor for a process that runs; -1 if none does. Unlike a process id,
// it can't come to mean another process.
int OpenProcess(pid_t pid);
void SendSignal(int process, int signal);

// Waits for the end of such a process; just waits where it is -1.
bool HasEnded(int process, absl::Duration timeout);

// Kills a program once it is not wanted. To be gone before anybody waits for
// another process of that id.
class ProcessGuard {
 public:
  ProcessGuard(pid_t pid, StillWanted wanted);
  ~ProcessGuard();
  ProcessGuard(const ProcessGuard&) = delete;
  ProcessGuard& operator=(const ProcessGuard&) = delete;

  // Waits for a `wanted` that is under way. OK, or why the program was killed.
  absl::Status Stop();

 private:
  const int process_;
  const StillWanted wanted_;
  absl::Status unwanted_;        // written by the thread
  base::PeriodicThread thread_;  // last: uses the members above
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_PROCESS_H_
