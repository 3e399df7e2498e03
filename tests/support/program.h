#ifndef USERPROFILE_TESTS_SUPPORT_PROGRAM_H_
#define USERPROFILE_TESTS_SUPPORT_PROGRAM_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/support/temp_dir.h"

namespace userprofile::testing {

// One of the project's programs, or another one, run by a test as a person or
// Kubernetes would: by its arguments, signals, output and exit code. What goes
// wrong in starting it ends the test program with a message.
class Program {
 public:
  struct Options {
    // Its path, or the name of a program of this build; then its arguments.
    std::vector<std::string> words;

    // Beside what this process has.
    std::map<std::string, std::string> environment = {};

    // A file for its standard input; empty means none.
    std::string input = {};
  };

  // Starts it.
  explicit Program(Options options);

  // Ends it, if it still runs: by SIGTERM, so that it can tidy up, and by
  // SIGKILL if that takes too long.
  ~Program();

  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }

  void Signal(int signal);

  // SIGKILL, and waits until it is gone.
  void Kill();

  // Waits for its end; its exit code, or 128 and the signal's number. A test
  // failure, and -1, if it runs longer than `patience`.
  int Wait(absl::Duration patience = absl::Seconds(60));

  bool running();

  // What it holds of the machine's memory (its resident set); a test failure if
  // it does not run.
  int MemoryMegabytes() const;

  // The most that it has ever held.
  int PeakMegabytes() const;

  // What it has written so far.
  std::string output() const;
  std::string errors() const;

 private:
  int StatusMegabytes(const std::string& name) const;

  TempDir directory_;
  pid_t pid_ = 0;
  int exit_code_ = -1;
  bool reaped_ = false;
};

struct Outcome {
  int exit_code;
  std::string output;
  std::string errors;
};

// Runs a program to its end. A test failure, and exit code -1, if it runs
// longer than `patience`.
Outcome RunProgram(Program::Options options,
                   absl::Duration patience = absl::Seconds(60));

// Whether `condition` comes true within `patience`.
template <typename Condition>
bool Eventually(Condition condition,
                absl::Duration patience = absl::Seconds(30)) {
  const absl::Time limit = absl::Now() + patience;
  while (!condition()) {
    if (absl::Now() > limit) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace userprofile::testing

#endif  // USERPROFILE_TESTS_SUPPORT_PROGRAM_H_
