#include "client/adapter/bot.h"

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/steady_time.h"
#include "httplib.h"

namespace userprofile::adapter {
namespace {

constexpr std::size_t kMaxAnswer = 1024 * 1024;
constexpr int kConnectTimeoutSeconds = 5;

absl::Status Failure(httplib::Error error, bool too_late) {
  switch (error) {
    case httplib::Error::Read:
      return too_late ? absl::DeadlineExceededError("the bot takes too long")
                      : absl::AbortedError("the bot broke off");
    case httplib::Error::Canceled:
      return absl::ResourceExhaustedError(
          "the bot's answer is longer than a mebibyte");
    default:
      return absl::UnavailableError(absl::StrCat(
          "the bot can't be reached (", httplib::to_string(error), ")"));
  }
}

}  // namespace

Bot::Bot(HttpUrl url, absl::Duration timeout)
    : url_(std::move(url)),
      timeout_(timeout),
      clients_([this] { return NewClient(); }) {}

std::unique_ptr<httplib::Client> Bot::NewClient() const {
  auto client = std::make_unique<httplib::Client>(url_.origin);
  client->set_keep_alive(true);
  client->set_tcp_nodelay(true);
  client->set_url_encode(false);
  client->set_connection_timeout(kConnectTimeoutSeconds);
  client->set_read_timeout(absl::ToChronoMicroseconds(timeout_));
  client->set_write_timeout(absl::ToChronoMicroseconds(timeout_));
  return client;
}

absl::StatusOr<BotAnswer> Bot::Post(
    const std::string& update,
    const std::map<std::string, std::string>& headers) {
  httplib::Request request;
  request.method = "POST";
  request.path = url_.path;
  request.body = update;
  request.set_header("Content-Type", "application/json");
  for (const auto& [name, value] : headers) request.set_header(name, value);
  BotAnswer answer;
  request.content_receiver = [&answer](const char* data, std::size_t size,
                                       std::uint64_t, std::uint64_t) {
    answer.body.append(data, size);
    return answer.body.size() <= kMaxAnswer;
  };

  std::unique_ptr<httplib::Client> client = clients_.Take();
  const auto begin = base::SteadyTime::Now();
  const httplib::Result result = client->send(request);
  // Its connection is of no use after an error.
  if (!result) {
    return Failure(result.error(), base::SteadyTime::Now() - begin >= timeout_);
  }
  answer.status = result->status;
  answer.content_type = result->get_header_value("Content-Type");
  clients_.GiveBack(std::move(client));
  return answer;
}

}  // namespace userprofile::adapter
