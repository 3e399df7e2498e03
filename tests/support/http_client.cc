#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/steady_time.h"

namespace userprofile::testing {

using base::SteadyTime;

Connection::Connection(absl::string_view address)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  absl::ConsumePrefix(&address, "http://");
  const std::pair<std::string, std::string> parts = absl::StrSplit(
      address.substr(0, address.find('/')), absl::MaxSplits(':', 1));
  sockaddr_in to = {};
  int port = 0;
  to.sin_family = AF_INET;
  over_ = !absl::SimpleAtoi(parts.second, &port) ||
          ::inet_pton(AF_INET, parts.first.c_str(), &to.sin_addr) != 1;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  over_ = over_ ||
          ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0;
  const int yes = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

Connection::~Connection() { ::close(fd_); }

bool Connection::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      over_ = true;
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string Connection::Read(absl::Duration patience) {
  pollfd event = {fd_, POLLIN, 0};
  const auto wait = absl::ToInt64Milliseconds(absl::Ceil(
      std::max(patience, absl::ZeroDuration()), absl::Milliseconds(1)));
  if (::poll(&event, 1, static_cast<int>(wait)) != 1) return "";
  char bytes[16 * 1024];
  const ssize_t size = ::recv(fd_, bytes, sizeof(bytes), 0);
  if (size > 0) return std::string(bytes, static_cast<std::size_t>(size));
  over_ = true;
  return "";
}

std::string Connection::ReadAll(absl::Duration patience) {
  const SteadyTime end = SteadyTime::Now() + patience;
  std::string all;
  while (!over_ && SteadyTime::Now() < end) {
    all += Read(end - SteadyTime::Now());
  }
  return all;
}

std::string HttpAnswer::Header(const std::string& name) const {
  const auto found = headers.find(absl::AsciiStrToLower(name));
  return found == headers.end() ? "" : found->second;
}

HttpClient::HttpClient(std::string address, absl::Duration patience)
    : address_(std::move(address)), patience_(patience) {}

HttpAnswer HttpClient::Get(const std::string& target) {
  return Send("GET", target);
}

HttpAnswer HttpClient::Post(const std::string& target, const std::string& body,
                            Headers headers) {
  headers.emplace("Content-Length", absl::StrCat(body.size()));
  return Send("POST", target, headers, body);
}

HttpAnswer HttpClient::Send(const std::string& method,
                            const std::string& target, const Headers& headers,
                            const std::string& body) {
  std::string request =
      absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: localhost\r\n");
  for (const auto& [name, value] : headers) {
    absl::StrAppend(&request, name, ": ", value, "\r\n");
  }
  absl::StrAppend(&request, "\r\n", body);
  HttpAnswer answer;
  // The server may have ended a connection that was kept.
  for (const bool kept : {connection_ != nullptr, false}) {
    if (!kept) connection_ = std::make_unique<Connection>(address_);
    (void)connection_->Send(request);  // it may answer before it has read all
    answer = Read(method != "HEAD");
    if (answer || !kept) break;
  }
  if (!answer || connection_->over() ||
      absl::EqualsIgnoreCase(answer.Header("Connection"), "close")) {
    connection_ = nullptr;
  }
  return answer;
}

HttpAnswer HttpClient::Read(bool has_body) {
  const SteadyTime end = SteadyTime::Now() + patience_;
  std::string text;
  // Reads on until it has so many bytes.
  const auto await = [&](const auto& is_enough) {
    while (!is_enough()) {
      const std::string more = connection_->Read(end - SteadyTime::Now());
      if (more.empty()) return false;
      text += more;
    }
    return true;
  };
  const auto has_headers = [&] { return absl::StrContains(text, "\r\n\r\n"); };
  if (!await(has_headers)) return {};
  const std::size_t begin = text.find("\r\n\r\n") + 4;
  HttpAnswer answer;
  const std::vector<std::string> lines =
      absl::StrSplit(text.substr(0, begin), "\r\n", absl::SkipEmpty());
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> header =
        absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
    answer.headers[absl::AsciiStrToLower(header.first)] =
        std::string(absl::StripAsciiWhitespace(header.second));
  }
  std::size_t size = 0;
  if (has_body && absl::SimpleAtoi(answer.Header("Content-Length"), &size)) {
    if (!await([&] { return text.size() >= begin + size; })) return {};
    answer.body = text.substr(begin, size);
  } else if (has_body) {
    answer.body = text.substr(begin) + connection_->ReadAll(patience_);
  }
  (void)absl::SimpleAtoi(lines[0].substr(lines[0].find(' ') + 1, 3),
                         &answer.status);
  return answer;
}

}  // namespace userprofile::testing
