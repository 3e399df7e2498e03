#ifndef USERPROFILE_SERVER_POSTGRES_DATABASE_H_
#define USERPROFILE_SERVER_POSTGRES_DATABASE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "server/postgres/embedded_cluster.h"
#include "server/postgres/session.h"
#include "server/postgres/watchdog.h"

namespace userprofile::postgres {

// Which database a command works on.
struct DatabaseOptions {
  // "embedded:DIR", or what libpq accepts: "postgresql://..." or "host=...".
  std::string database = DefaultDatabase();

  // A file that holds the same, for the sake of the password. Not beside a
  // --database that was given.
  std::string database_file;

  // Whether `database` is an embedded one, as far as its form tells.
  bool embedded() const;

  // embedded:/var/lib/userprofile as root, else in the user's data folder:
  // $XDG_DATA_HOME/userprofile or ~/.local/share/userprofile.
  static std::string DefaultDatabase();
};

// A database that can be connected to, for as long as the object lives. An
// embedded one is started with it and stopped with it, unless a server has it
// open already.
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

  // For libpq. Holds a password, perhaps.
  std::string conninfo() const { return target_->conninfo(); }

  // Makes sessions; may be used as long as the database is open. Each reads the
  // database file again, so that a new password holds from the next connection
  // on.
  SessionFactory Sessions() const { return Factory({}); }

  // The same for statements that are all short: a connection on which one stays
  // without an answer is given up.
  SessionFactory ServingSessions() const;

  // The same for those that find out whether the database is there: they give
  // up so soon that it is known within seconds.
  SessionFactory ProbingSessions() const;

  // When all these sessions are broken off, for a process that has to end.
  void InterruptAt(base::SteadyTime time) { watchdog_->InterruptAt(time); }

 private:
  // Where sessions go. Shared by the factories, which may outlive the database.
  class Target {
   public:
    Target(std::string file, std::string conninfo)
        : file_(std::move(file)), conninfo_(std::move(conninfo)) {}

    // Where new sessions go.
    std::string conninfo() const;

    // A session was made there.
    void SetReached(const std::string& conninfo);

    // Whether a session that was made there is still where it shall be.
    bool IsAt(absl::string_view conninfo) const;

    // Whether new sessions go elsewhere than the last one did. Says an error in
    // the log, unless it did before.
    absl::StatusOr<bool> Reload();

   private:
    const std::string file_;  // empty for none
    mutable base::Mutex mutex_;
    std::string conninfo_ ABSL_GUARDED_BY(mutex_);
    std::string reached_ ABSL_GUARDED_BY(mutex_);
    absl::Status logged_ ABSL_GUARDED_BY(mutex_);
  };

  Database() = default;

  SessionFactory Factory(ConnectOptions options) const;
  absl::Status OpenEmbedded(const std::string& directory, Use use);
  absl::Status Share(const std::string& directory);
  absl::Status Own(const std::string& directory, DirectoryHolder holder);

  std::unique_ptr<EmbeddedCluster> cluster_;
  std::shared_ptr<Target> target_;
  const std::shared_ptr<Watchdog> watchdog_ = std::make_shared<Watchdog>();
  bool embedded_ = false;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_DATABASE_H_
