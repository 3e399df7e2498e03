#ifndef USERPROFILE_SERVER_APP_SERVER_H_
#define USERPROFILE_SERVER_APP_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/connections.h"
#include "server/api/user_profile_service.h"
#include "server/postgres/database.h"
#include "server/store/postgres_store.h"
#include "server/store/trimmer.h"
#include "server/transport/grpc_server.h"
#include "server/transport/tls.h"

namespace userprofile::app {

// What `serve` can be told; the parts say what their options mean, and their
// defaults are the flags'. What a part is connected with is the server's.
struct ServeOptions {
  postgres::DatabaseOptions database;

  // Whether to migrate an external database first. An embedded one always is.
  bool migrate = false;

  // See schema::MigrateOptions.
  bool new_table = false;

  store::PostgresStoreOptions store;
  api::UserProfileServiceOptions service;
  store::TrimmerOptions trimmer;
  transport::GrpcServerOptions grpc;
  access::ConnectionLimits connections;

  // How calls are encrypted, and who may call (access/callers.h): files that
  // are read again when they change. Without the first, calls are not
  // encrypted; without the second, everybody may call everything.
  transport::TlsFiles tls;
  std::string callers_file;

  // Where people and probes are listened to: "HOST:PORT"; port 0 takes a free
  // one.
  std::string admin_listen = "127.0.0.1:9464";

  // Whether to listen beyond loopback although calls are not encrypted or
  // callers not known; for the admin port, which is neither, alone.
  bool insecure = false;
  bool admin_insecure = false;

  // How long calls are still taken after NOT_SERVING was said: until whoever
  // sends them here knows of it. Then, how long to wait for those in flight.
  absl::Duration drain_delay = absl::ZeroDuration();
  absl::Duration drain_timeout = absl::Seconds(15);

  // INVALID_ARGUMENT with a sentence for people, if they don't go together.
  absl::Status Validate() const;
};

// The whole service in one object: builds its parts in order, and lets go of
// them in reverse. Not thread-safe.
class Server {
 public:
  // Listens when it returns. An embedded database is open by then; an external
  // one need not be there yet: the server is not ready until it is.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServeOptions& options);

  // Stops as if told so.
  ~Server();

  // Says NOT_SERVING, goes on for the drain delay, tells clients to go
  // elsewhere (GOAWAY), finishes what is in flight, a migration too, and closes
  // the connections to the database. What is not finished at the drain timeout
  // is broken off. Further calls do nothing.
  void Stop();

  // Reads again what a file holds that may be replaced while the server runs,
  // and says in the log what came of it: for the database file.
  void Reload();

  // The addresses, with the ports that were taken.
  const std::string& address() const;
  const std::string& admin_address() const;

 private:
  struct Parts;

  explicit Server(const ServeOptions& options);

  absl::Status LoadAccess(const ServeOptions& options);

  const absl::Duration drain_delay_;
  const absl::Duration drain_timeout_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace userprofile::app

#endif  // USERPROFILE_SERVER_APP_SERVER_H_
