#ifndef USERPROFILE_SERVER_POSTGRES_EMBEDDED_CLUSTER_H_
#define USERPROFILE_SERVER_POSTGRES_EMBEDDED_CLUSTER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "base/file_lock.h"
#include "server/postgres/data_directory.h"

namespace userprofile::postgres {

class Postmaster;

// A private PostgreSQL server: its data lies in a directory of ours, it is
// reached through a Unix socket only, and it lives as long as this object.
//
// Whatever kills this process also stops PostgreSQL, and the next Start on the
// directory takes it over; what was committed is there. A PostgreSQL that ends,
// or is told to by somebody else, is started again. The directory holds
//   data/         what PostgreSQL stores
//   postgres.log  what it has to say, which is never a user's data
//   lock          the process id of the server that uses the directory
// When we are root, PostgreSQL runs as an unprivileged user (AccountFor).
//
// Thread-safe, but for Stop().
class EmbeddedCluster {
 public:
  struct Options {
    // Made if it is missing, and its parents too.
    std::string directory;

    // What others see of us (HolderOf).
    DirectoryHolder holder = DirectoryHolder::kServer;

    // More settings for PostgreSQL, as in postgresql.conf; they win over ours.
    std::vector<std::pair<std::string, std::string>> settings;

    // Whether a commit survives a power cut. Turn off for tests, which then
    // start and run faster.
    bool durable = true;

    // How long PostgreSQL may take to say that it is starting. From then on it
    // is waited for as long as it says so: recovering from a crash takes time,
    // and would begin anew.
    absl::Duration start_timeout = absl::Seconds(60);

    // After half of this time, Stop no longer lets PostgreSQL write down what
    // is in its memory, which the next start then makes up for.
    absl::Duration stop_timeout = absl::Seconds(20);
  };

  // Makes the data at first use, and returns when connections are accepted.
  // FAILED_PRECONDITION or PERMISSION_DENIED with a message for the operator if
  // the directory is in use or can't be used, or PostgreSQL is not installed;
  // INTERNAL with the end of PostgreSQL's log if it does not start.
  static absl::StatusOr<std::unique_ptr<EmbeddedCluster>> Start(
      Options options);

  // Whether there is a cluster in `directory`, open or not.
  static bool Exists(const std::string& directory);

  // How to connect to the cluster that is open on `directory` right now;
  // nullopt if none is. It may be starting yet.
  static absl::optional<std::string> ConninfoIfRunning(
      const std::string& directory);

  ~EmbeddedCluster();  // calls Stop()
  EmbeddedCluster(const EmbeddedCluster&) = delete;
  EmbeddedCluster& operator=(const EmbeddedCluster&) = delete;

  // For postgres::Connect: a database `userprofile`, as its superuser. The same
  // at every start on a directory, unless somebody took the socket's place.
  const std::string& conninfo() const { return conninfo_; }

  // The process id of PostgreSQL's main process; 0 while there is none.
  pid_t pid() const;

  // Ends all connections and PostgreSQL, and waits for that. Leaves nothing
  // behind but the directory. Further calls do nothing.
  void Stop();

 private:
  EmbeddedCluster(std::unique_ptr<base::FileLock> lock, SocketFolder sockets);

  absl::Status CreateDatabase() const;

  // Let go in reverse order.
  std::unique_ptr<base::FileLock> lock_;
  SocketFolder sockets_;
  std::unique_ptr<Postmaster> postmaster_;
  const std::string conninfo_;
};

}  // namespace userprofile::postgres

#endif  // USERPROFILE_SERVER_POSTGRES_EMBEDDED_CLUSTER_H_
