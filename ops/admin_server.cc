#include "ops/admin_server.h"

#include <map>
#include <utility>

namespace userprofile::ops {
namespace {

constexpr char kText[] = "text/plain; charset=utf-8";

using Answer = std::function<HttpResponse()>;

std::map<std::string, Answer> AnswersOf(const AdminPages& pages) {
  std::map<std::string, Answer> answers;
  answers["/livez"] = [] {
    return HttpResponse{.body = "ok\n", .content_type = kText};
  };
  answers["/readyz"] = [not_ready = pages.not_ready] {
    const std::string why = not_ready();
    return why.empty() ? HttpResponse{200, "ready\n", kText}
                       : HttpResponse{503, why + "\n", kText};
  };
  answers["/metrics"] = [metrics = pages.metrics] {
    return HttpResponse{
        .body = metrics(),
        .content_type = "text/plain; version=0.0.4; charset=utf-8"};
  };
  for (const AdminPage& page : pages.more) {
    answers[page.path] = [page] {
      return HttpResponse{.body = page.content(),
                          .content_type = page.content_type,
                          .headers = {{"Content-Security-Policy",
                                       page.content_security_policy}}};
    };
  }
  return answers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> StartAdminServer(
    absl::string_view address, const AdminPages& pages) {
  const auto answers =
      std::make_shared<std::map<std::string, Answer>>(AnswersOf(pages));
  HttpHandler handler;
  handler.refuse =
      [answers](const HttpRequest& request) -> absl::optional<HttpResponse> {
    if (answers->count(request.path) == 0) return HttpResponse{.status = 404};
    if (request.method != "GET") return MethodNotAllowed("GET, HEAD");
    return absl::nullopt;
  };
  handler.answer = [answers](const HttpRequest& request) {
    HttpResponse response = answers->at(request.path)();
    response.headers.insert(response.headers.end(),
                            {{"Cache-Control", "no-store"},
                             {"X-Content-Type-Options", "nosniff"},
                             {"Referrer-Policy", "no-referrer"}});
    return response;
  };
  // Probes and scrapers come from a few addresses, and close at once.
  return HttpServer::Start(address, {.max_connections_per_address = 128},
                           std::move(handler));
}

}  // namespace userprofile::ops
