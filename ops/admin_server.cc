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
             [not_ready = pages.not_ready](const httplib::Request&,
                                           httplib::Response& answer) {
               const std::string why = not_ready();
               if (why.empty()) {
                 answer.set_content("ready\n", kText);
                 return;
               }
               answer.status = 503;
               answer.set_content(why + "\n", kText);
             });
  server.Get("/metrics", [metrics = pages.metrics](const httplib::Request&,
                                                   httplib::Response& answer) {
    answer.set_content(metrics(), "text/plain; version=0.0.4; charset=utf-8");
  });
  for (const AdminPage& page : pages.more) {
    server.Get(page.path,
               [page](const httplib::Request&, httplib::Response& answer) {
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

absl::StatusOr<std::unique_ptr<HttpServer>> StartAdminServer(
    absl::string_view address, const AdminPages& pages) {
  return HttpServer::Start(
      address, HttpServerOptions(),
      [&pages](httplib::Server& server) { AddPages(pages, server); });
}

}  // namespace userprofile::ops
