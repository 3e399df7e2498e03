#include "client/adapter/http_client.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <regex>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/steady_time.h"
#include "httplib.h"

namespace userprofile::adapter {
namespace {

// A long poll waits for its answer, not for being taken.
constexpr absl::Duration kLongestWrite = absl::Seconds(30);

}  // namespace

absl::StatusOr<HttpUrl> ParseHttpUrl(const std::string& url) {
  static const auto& pattern = *new std::regex(
      R"((https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:([0-9]{1,5}))?))"
      R"((/[!-~]*)?)");
  std::smatch match;
  int port = 0;
  if (!std::regex_match(url, match, pattern) ||
      (match[4].matched &&
       (!absl::SimpleAtoi(match[4].str(), &port) || port > 65535))) {
    return absl::InvalidArgumentError(
        "is a URL such as http://127.0.0.1:8080/update");
  }
  return HttpUrl{match[1], match[5].matched ? match[5].str() : "/"};
}

HttpClient::HttpClient(std::string origin, std::string server,
                       std::size_t max_answer, absl::Duration connect_timeout)
    : origin_(std::move(origin)),
      server_(std::move(server)),
      max_answer_(max_answer),
      connect_timeout_(connect_timeout) {}

HttpClient::~HttpClient() = default;

HttpClient::Clients::iterator HttpClient::Take() {
  const base::MutexLock lock(mutex_);
  if (idle_.empty()) {
    auto& client = *idle_.emplace_back(new httplib::Client(origin_));
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    client.set_url_encode(false);
    client.set_connection_timeout(absl::ToChronoMicroseconds(connect_timeout_));
  }
  busy_.splice(busy_.begin(), idle_, std::prev(idle_.end()));
  return busy_.begin();
}

absl::StatusOr<HttpAnswer> HttpClient::Post(
    const std::string& path, const std::string& json, absl::Duration timeout,
    const std::map<std::string, std::string>& headers) {
  httplib::Request request;
  request.method = "POST";
  request.path = path;
  request.body = json;
  request.set_header("Content-Type", "application/json");
  for (const auto& [name, value] : headers) request.set_header(name, value);
  HttpAnswer answer;
  request.content_receiver = [&](const char* data, std::size_t size,
                                 std::uint64_t, std::uint64_t) {
    answer.body.append(data, size);
    return answer.body.size() <= max_answer_;
  };

  const auto client = Take();
  (*client)->set_read_timeout(absl::ToChronoMicroseconds(timeout));
  (*client)->set_write_timeout(
      absl::ToChronoMicroseconds(std::min(timeout, kLongestWrite)));
  const auto begin = base::SteadyTime::Now();
  const httplib::Result result = (*client)->send(request);
  const bool too_late = base::SteadyTime::Now() - begin >= timeout;
  {
    const base::MutexLock lock(mutex_);
    if (result) {
      idle_.splice(idle_.end(), busy_, client);
    } else {
      busy_.erase(client);  // its connection is of no use any more
    }
  }
  if (result) {
    answer.status = result->status;
    answer.content_type = result->get_header_value("Content-Type");
    return answer;
  }
  switch (result.error()) {
    case httplib::Error::Read:
      if (too_late) {
        return absl::DeadlineExceededError(
            absl::StrCat(server_, " takes too long"));
      }
      return absl::AbortedError(absl::StrCat(server_, " broke off"));
    case httplib::Error::Canceled:
      return absl::OutOfRangeError(absl::StrCat(
          server_, "'s answer is longer than ", max_answer_, " bytes"));
    default:
      return absl::UnavailableError(
          absl::StrCat(server_, " can't be reached (",
                       httplib::to_string(result.error()), ")"));
  }
}

void HttpClient::BreakOff() {
  const base::MutexLock lock(mutex_);
  for (const auto& client : busy_) client->stop();
}

}  // namespace userprofile::adapter
