#include "ops/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace userprofile::ops {
namespace {

struct HostAndPort {
  std::string host;
  std::string port;
};

absl::StatusOr<HostAndPort> ParseAddress(absl::string_view address) {
  const auto colon = address.rfind(':');
  int port;
  if (colon != absl::string_view::npos && colon > 0 &&
      absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 0 &&
      port <= 65535) {
    absl::string_view host = address.substr(0, colon);
    const bool bracketed =
        absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
    if (bracketed || host.find(':') == absl::string_view::npos) {
      return HostAndPort{std::string(host), absl::StrCat(port)};
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", address, "\" is no address to listen on: HOST:PORT is needed"));
}

// A socket that listens, or -1 with errno.
int ListenOn(const addrinfo& address) {
  const int fd = ::socket(address.ai_family,
                          SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  // Not SO_REUSEPORT: two processes would share the port without a word.
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(fd, address.ai_addr, address.ai_addrlen) == 0 &&
      ::listen(fd, SOMAXCONN) == 0) {
    return fd;
  }
  const int why = errno;
  ::close(fd);
  errno = why;
  return -1;
}

}  // namespace

absl::StatusOr<std::pair<int, std::string>> Listen(absl::string_view address) {
  const auto parsed = ParseAddress(address);
  if (!parsed.ok()) return parsed.status();
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int lookup =
      ::getaddrinfo(parsed->host.c_str(), parsed->port.c_str(), &hints, &found);
  int fd = -1;
  std::string why = lookup == 0 ? "" : ::gai_strerror(lookup);
  for (const addrinfo* i = found; i != nullptr && fd < 0; i = i->ai_next) {
    fd = ListenOn(*i);
    if (fd < 0 && why.empty()) why = std::strerror(errno);
  }
  if (found != nullptr) ::freeaddrinfo(found);
  if (fd < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("can't listen on ", address, ": ", why));
  }
  // Of IPv4 and of IPv6, the port lies in the same place.
  sockaddr_in6 bound = {};
  socklen_t size = sizeof(bound);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
  return std::make_pair(fd, absl::StrCat(address.substr(0, address.rfind(':')),
                                         ":", ntohs(bound.sin6_port)));
}

bool IsLoopback(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  const std::size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return false;
  const std::string host(address.substr(0, colon));
  if (host == "localhost" || host == "[::1]") return true;
  in_addr parsed = {};
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 &&
         ntohl(parsed.s_addr) >> 24 == IN_LOOPBACKNET;
}

void RaiseOpenFilesLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace userprofile::ops
