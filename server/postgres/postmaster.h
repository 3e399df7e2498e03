#ifndef USERPROFILE_SERVER_POSTGRES_POSTMASTER_H_
#define USERPROFILE_SERVER_POSTGRES_POSTMASTER_H_

#include <sys/types.h>

#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/postgres/process.h"

namespace userprofile::postgres {

// Keeps PostgreSQL's main process running: starts it, watches it, and starts it
// again, ever less eagerly, when it ends by itself. One that somebody else told
// to stop takes no connections, for as long as an old one lives: it is ended at
// once, too. All from one thread, whose end would be the process's end
// (Command::death_signal). Thread-safe.
class Postmaster {
 public:
  struct Options {
    std::string directory;         // see EmbeddedCluster
    Command command;               // what to run; its output is set here
    absl::Duration start_timeout;  // see EmbeddedCluster
    absl::Duration stop_timeout;
  };

  explicit Postmaster(Options options);
  ~Postmaster();  // calls Stop()
  Postmaster(const Postmaster&) = delete;
  Postmaster& operator=(const Postmaster&) = delete;

  // Waits until connections are accepted for the first time, or the first start
  // has failed.
  absl::Status WaitUntilReady();

  // Ends the process for good, and waits for it.
  void Stop();

  // 0 while there is no process.
  pid_t pid() const;

 private:
  // Run by the supervising thread.
  void Supervise();
  absl::Status StartFirst();
  void KeepRunning();
  absl::Status StartProcess();  // if it fails, no process is left
  void WaitForEnd();
  void Reap();
  bool Pause(absl::Duration duration);  // false once Stop() was called
  bool stopping() const;

  const Options options_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  pid_t pid_ ABSL_GUARDED_BY(mutex_) = 0;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;  // start_status_ is known
  absl::Status start_status_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread supervisor_;  // last: uses the members above
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_POSTMASTER_H_
