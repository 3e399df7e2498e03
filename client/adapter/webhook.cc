#include "client/adapter/webhook.h"

#include <future>
#include <memory>
#include <utility>

#include "client/adapter/secret.h"
#include "client/adapter/update_line.h"
#include "httplib.h"

namespace userprofile::adapter {
namespace {

constexpr char kSecretHeader[] = "X-Telegram-Bot-Api-Secret-Token";

// Reads the body; otherwise the status to refuse the request with. The
// library's own limit does not see a body that comes in chunks, and it throws
// if forms are read like this.
int ReadBody(const httplib::Request& request,
             const httplib::ContentReader& reader,
             const httplib::Response& response, std::string& body) {
  if (request.is_multipart_form_data()) return 400;
  bool too_long = false;
  const bool read = reader([&](const char* data, std::size_t size) {
    too_long = body.size() + size > kMaxUpdate;
    if (!too_long) body.append(data, size);
    return !too_long;
  });
  if (too_long || response.status == 413) return 413;
  return read ? 0 : 400;
}

}  // namespace

void Webhook::AddTo(httplib::Server& server) {
  server.Post(".*", [this](const httplib::Request& request,
                           httplib::Response& response,
                           const httplib::ContentReader& reader) {
    const auto refuse = [&](int status) {
      metrics_.CountRefusedCall(status);
      response.status = status;
      // What is left of the body must not be taken for a request.
      response.set_header("Connection", "close");
    };
    // First, so that a stranger's body is not even waited for.
    const std::string secret = request.get_header_value(kSecretHeader);
    if (!SecretsEqual(secret, secret_)) return refuse(401);
    std::string body;
    if (const int status = ReadBody(request, reader, response, body)) {
      return refuse(status);
    }
    const UpdateLine update = ReadUpdate(std::move(body));
    if (update.outcome.is_error()) return refuse(400);

    const auto user = update.outcome.user_id;
    const auto turn = std::make_shared<std::promise<void>>();
    turns_.Take(user, [turn] { turn->set_value(); });
    turn->get_future().wait();
    const auto answer = delivery_.Deliver(update, {{kSecretHeader, secret}});
    turns_.GiveUp(user);
    if (!answer.ok()) {
      response.status = 503;
      response.set_header("Retry-After", "1");
      return;
    }
    response.status = answer->status;
    response.set_content(answer->body, answer->content_type);
  });
}

}  // namespace userprofile::adapter
