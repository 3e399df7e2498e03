#include "ops/admin_server.h"

#include "httplib.h"

namespace userprofile::ops {
namespace {

constexpr char kText[] = "text/plain; charset=utf-8";

void AddPages(const AdminPages& pages, httplib::Server& server) {
  server.Get("/livez", [](const httplib::Request&, httplib::Response& answer) {
    answer.set_content("ok\n", kText);
  });
  server.Get("/readyz",
             [&](const httplib::Request&, httplib::Response& answer) {
               const std::string not_ready = pages.not_ready();
               if (not_ready.empty()) {
                 answer.set_content("ready\n", kText);
                 return;
               }
               answer.status = 503;
               answer.set_content(not_ready + "\n", kText);
             });
  server.Get("/metrics",
             [&](const httplib::Request&, httplib::Response& answer) {
               answer.set_content(pages.metrics(),
                                  "text/plain; version=0.0.4; charset=utf-8");
             });
  for (const AdminPage& page : pages.more) {
    server.Get(page.path,
               [&](const httplib::Request&, httplib::Response& answer) {
                 answer.set_header("Content-Security-Policy",
                                   page.content_security_policy);
                 answer.set_content(page.content(), page.content_type);
               });
  }
  server.set_default_headers({{"Cache-Control", "no-store"},
                              {"X-Content-Type-Options", "nosniff"},
                              {"Referrer-Policy", "no-referrer"}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(
    absl::string_view address, AdminPages pages) {
  std::unique_ptr<AdminServer> admin(new AdminServer(std::move(pages)));
  auto server = HttpServer::Start(
      address, HttpServerOptions(),
      [&admin](httplib::Server& http) { AddPages(admin->pages_, http); });
  if (!server.ok()) return server.status();
  admin->server_ = *std::move(server);
  return admin;
}

}  // namespace userprofile::ops
