#ifndef USERPROFILE_OPS_ADMIN_SERVER_H_
#define USERPROFILE_OPS_ADMIN_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ops/http_server.h"

namespace userprofile::ops {

// A page of the admin port beside those that every program has.
struct AdminPage {
  std::string path;
  std::string content_type;
  std::function<std::string()> content;

  // What a browser may load for it; nothing, unless it says otherwise.
  std::string content_security_policy =
      "default-src 'none'; frame-ancestors 'none'";
};

// What the admin port shows; called by its threads, at any time.
struct AdminPages {
  // Empty if the process is ready to work; else why not, in words.
  std::function<std::string()> not_ready;

  // All metrics, in Prometheus' text format, version 0.0.4.
  std::function<std::string()> metrics;

  std::vector<AdminPage> more = {};
};

// Opens the HTTP port for those who run a program. Without authentication: for
// loopback and for networks that are trusted.
//   /livez    200 "ok" as long as the process can answer at all
//   /readyz   200 "ready", or 503 with the reason and what it means, in words
//   /metrics  the metrics in Prometheus' text format
// and what the program adds. Answers are not cached, and browsers are told to
// take them for nothing else.
// Connections are closed after each answer, and slow or silent clients after
// seconds; see HttpServer for errors.
absl::StatusOr<std::unique_ptr<HttpServer>> StartAdminServer(
    absl::string_view address, const AdminPages& pages);

}  // namespace userprofile::ops

#endif  // USERPROFILE_OPS_ADMIN_SERVER_H_
