#ifndef USERPROFILE_SERVER_POSTGRES_DATABASE_H_
#define USERPROFILE_SERVER_POSTGRES_DATABASE_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/periodic_thread.h"
#include "base/steady_time.h"
#include "server/postgres/conninfo.h"
#include "server/postgres/embedded_cluster.h"
#include "server/postgres/given_up_backends.h"
#include "server/postgres/known_cluster.h"
#include "server/postgres/session.h"
#include "server/postgres/survey.h"
#include "server/postgres/watchdog.h"

namespace userprofile::postgres {

// Which database a command works on.
struct DatabaseOptions {
  // "embedded:DIR", or what libpq accepts: "postgresql://..." or "host=...".
  std::string database = DefaultDatabase();

  // A file that holds the same, for the sake of the password. Not beside a
  // --database that was given.
  std::string database_file;

  // A file that remembers across restarts which cluster the database is of, and
  // its timeline (see KnownCluster), so that a primary that was replaced is not
  // taken for the right one then. None if empty. Only for Use::kServe.
  std::string cluster_file;

  // Whether `database` is an embedded one, as far as its form tells.
  bool embedded() const;

  // embedded:/var/lib/userprofile as root, else in the user's data folder:
  // $XDG_DATA_HOME/userprofile or ~/.local/share/userprofile.
  static std::string DefaultDatabase();
};

// A database that can be connected to, for as long as the object lives. An
// embedded one is started with it and stopped with it, unless a server has it
// open already.
//
// All sessions are on one primary: of several hosts the one on the highest
// timeline. Once a higher one was seen, on whatever host, sessions below are
// not healthy any more, and new ones are refused there (UNAVAILABLE,
// DEPOSED_PRIMARY), as those of another cluster are (WRONG_DATABASE). While
// several hosts are served from, all are asked every second.
class Database {
 public:
  enum class Use {
    kServe,    // to own an embedded database: refused if a server has it
    kCommand,  // to share it with the server that has it, or own it meanwhile
    kInspect,  // the same, but does not make a database where there is none
  };

  // Does not connect to an external database. Waits for a command that owns an
  // embedded one, and shares one with a server as soon as that has started it.
  // INVALID_ARGUMENT for options that can't be understood; NOT_FOUND if there
  // is nothing to inspect; else EmbeddedCluster's errors.
  static absl::StatusOr<std::unique_ptr<Database>> Open(
      const DatabaseOptions& options, Use use);

  bool embedded() const { return embedded_; }

  // Reads the database file again, if there is one. If it holds something else,
  // that is tried: once a session was made there, those made before are not
  // healthy any more, and so replaced when they are needed next. Whether it
  // did. INVALID_ARGUMENT, and nothing changed, for a file that can't be used;
  // Connect's errors, and sessions that there are go on, for one that
  // leads nowhere. Thread-safe.
  absl::StatusOr<bool> Reload();

  // For PostgreSQL's programs: leads to the server that sessions go to now, of
  // several, with the same errors. Holds a password, perhaps.
  absl::StatusOr<std::string> PrimaryConninfo() const;

  // Makes sessions; may be used as long as the database is open. Each reads the
  // database file again, so that a new password holds from the next connection
  // on. The first one of a database that is not embedded says in the log if its
  // role is a superuser.
  SessionFactory Sessions() const;

  // The same for statements that are all short: a connection on which one stays
  // without an answer is given up. PostgreSQL may go on with that: while it
  // does so with many, none is made (UNAVAILABLE, REPLICATION_STALLED if they
  // wait for the synchronous standby).
  SessionFactory ServingSessions() const;

  // The same for those that find out whether the database is there: they give
  // up so soon that it is known within seconds.
  SessionFactory ProbingSessions() const;

  // When all these sessions are broken off, for a process that has to end.
  void InterruptAt(base::SteadyTime time) { watchdog_->InterruptAt(time); }

 private:
  // A place that sessions go to.
  struct Place {
    std::string conninfo;
    std::vector<Host> hosts;
    std::shared_ptr<KnownCluster> cluster;
  };

  // Where sessions go. Shared by the factories, which may outlive the database.
  class Target {
   public:
    // INVALID_ARGUMENT for a cluster file that can't be read.
    static absl::StatusOr<std::shared_ptr<Target>> Make(
        std::string conninfo, std::string database_file,
        std::string cluster_file);

    // Where new sessions go.
    Place place() const;

    // A session was made there.
    void SetReached(const Place& place);

    // Whether a session that was made there is still where it shall be.
    bool IsAt(absl::string_view conninfo) const;

    // Whether new sessions go elsewhere than the last one did. Says an error in
    // the log, unless it did before.
    absl::StatusOr<bool> Reload();

   private:
    Target(std::string database_file, std::string cluster_file)
        : file_(std::move(database_file)),
          cluster_file_(std::move(cluster_file)) {}

    void Go(std::string conninfo, std::vector<Host> hosts)
        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

    const std::string file_;  // empty for none
    const std::string cluster_file_;
    mutable base::Mutex mutex_;
    Place place_ ABSL_GUARDED_BY(mutex_);
    Place reached_ ABSL_GUARDED_BY(mutex_);
    absl::Status logged_ ABSL_GUARDED_BY(mutex_);
  };

  Database() = default;

  // Of several hosts the one to go to.
  static absl::StatusOr<Host> Choose(const Place& place, Survey& survey);

  // No session while more than `most_given_up` are left of those given up.
  SessionFactory Factory(ConnectOptions options,
                         std::size_t most_given_up) const;
  absl::Status OpenEmbedded(const std::string& directory, Use use,
                            const std::string& cluster_file);
  absl::Status Share(const std::string& directory);
  absl::Status Own(const std::string& directory, DirectoryHolder holder,
                   const std::string& cluster_file);

  std::unique_ptr<EmbeddedCluster> cluster_;
  std::shared_ptr<Target> target_;
  const std::shared_ptr<Watchdog> watchdog_ = std::make_shared<Watchdog>();
  const std::shared_ptr<GivenUpBackends> given_up_ =
      std::make_shared<GivenUpBackends>();
  const std::shared_ptr<Survey> survey_ = std::make_shared<Survey>();
  // For the first session that is made.
  const std::shared_ptr<std::atomic<bool>> warn_of_superuser_ =
      std::make_shared<std::atomic<bool>>(true);

  // Asks all hosts again and again, where there are several.
  std::unique_ptr<base::PeriodicThread> lookout_;
  bool embedded_ = false;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_DATABASE_H_
