#ifndef USERPROFILE_SERVER_OPS_ADMIN_SERVER_H_
#define USERPROFILE_SERVER_OPS_ADMIN_SERVER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/ops/metrics.h"
#include "server/ops/readiness.h"

namespace httplib {
class Server;
}

namespace userprofile::ops {

// The HTTP port for those who run the service. Plain HTTP without
// authentication: for loopback and for networks that are trusted.
//   /livez    200 "ok" as long as the process can answer at all
//   /readyz   200 "ready", or 503 with the reason and what it means, in words
//   /metrics  the metrics in Prometheus' text format
// A few threads and short time limits: a client that falls silent delays others
// by seconds at most, and connections are closed after each answer, so that
// none keeps a thread. One that sends its request byte by byte does keep it: a
// few such clients silence the port, another reason to trust who can reach it.
class AdminServer {
 public:
  // Listens on "HOST:PORT" ("[::1]:9464" for IPv6); port 0 takes a free one.
  // Both objects must outlive the server. INVALID_ARGUMENT for what is no such
  // address, FAILED_PRECONDITION if it can't be listened on.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(
      absl::string_view address, const Readiness& readiness,
      const Metrics& metrics);

  // Finishes what is being answered.
  ~AdminServer();
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // The address that it listens on, as it was given but with the real port.
  const std::string& address() const { return address_; }

 private:
  AdminServer();

  std::string address_;
  std::unique_ptr<httplib::Server> server_;
  std::thread thread_;
};

}  // namespace userprofile::ops

#endif  // USERPROFILE_SERVER_OPS_ADMIN_SERVER_H_
