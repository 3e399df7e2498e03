#ifndef USERPROFILE_SERVER_APP_DATABASE_H_
#define USERPROFILE_SERVER_APP_DATABASE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/postgres/embedded_cluster.h"
#include "server/postgres/session.h"

namespace userprofile::app {

// Which database a command works on.
struct DatabaseOptions {
  // "embedded:DIR", or what libpq accepts: "postgresql://..." or "host=...".
  std::string database = DefaultDatabase();

  // A file that holds the same, for the sake of the password. Not beside a
  // --database that was given.
  std::string database_file;

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

  // For libpq. Holds a password, perhaps.
  const std::string& conninfo() const { return conninfo_; }

  // Makes sessions; may be used as long as the database is open.
  postgres::SessionFactory Sessions() const;

  // The same for statements that are all short: a connection on which one stays
  // without an answer is given up.
  postgres::SessionFactory ServingSessions() const;

 private:
  Database() = default;

  absl::Status OpenEmbedded(const std::string& directory, Use use);
  absl::Status Own(const std::string& directory,
                   postgres::DirectoryHolder holder);

  std::unique_ptr<postgres::EmbeddedCluster> cluster_;
  std::string conninfo_;
  bool embedded_ = false;
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_DATABASE_H_
