#include "server/transport/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/steady_time.h"

namespace userprofile::transport {
namespace {

absl::Status CantListen(const std::string& why) {
  return absl::FailedPreconditionError(why);
}

// A socket that listens there; -1 for none, and errno says why.
int SocketAt(const sockaddr* address, socklen_t size) {
  const int fd =
      socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address->sa_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (bind(fd, address, size) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int PortOf(int socket) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

void SetPort(sockaddr* address, int port) {
  (address->sa_family == AF_INET6
       ? reinterpret_cast<sockaddr_in6*>(address)->sin6_port
       : reinterpret_cast<sockaddr_in*>(address)->sin_port) = htons(port);
}

// That it hung up is told in any case.
void Watch(int epoll, int fd, std::uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.fd = fd;
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

// For epoll_wait: at least a millisecond, at most a minute.
int PauseOf(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(
      std::clamp(duration, absl::Milliseconds(1), absl::Minutes(1))));
}

int OpenReserve() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Listen(
    const std::string& address) {
  auto listener = std::unique_ptr<Listener>(new Listener);
  listener->address_ = address;
  absl::string_view rest = address;
  if (absl::ConsumePrefix(&rest, "unix:")) {
    absl::ConsumePrefix(&rest, "//");
    USERPROFILE_RETURN_IF_ERROR(listener->ListenOnPath(std::string(rest)));
    return listener;
  }
  const std::size_t colon = rest.rfind(':');
  if (colon == absl::string_view::npos) {
    return CantListen(absl::StrCat("can't listen on ", address,
                                   ": it is no HOST:PORT, and no unix:PATH"));
  }
  absl::string_view host = rest.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  USERPROFILE_RETURN_IF_ERROR(listener->ListenOnPort(
      std::string(host), std::string(rest.substr(colon + 1))));
  if (absl::EndsWith(address, ":0")) {
    listener->address_ = absl::StrCat(rest.substr(0, colon + 1),
                                      PortOf(listener->listening_.front()));
  }
  return listener;
}

absl::Status Listener::ListenOnPort(const std::string& host,
                                    const std::string& port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  // Every address of the machine, by both protocols where there are both.
  const bool everywhere = host.empty() || host == "0.0.0.0" || host == "::";
  addrinfo* found = nullptr;
  std::string why;
  for (const char* name : {everywhere ? "::" : host.c_str(), "0.0.0.0"}) {
    if (const int error = getaddrinfo(name, port.c_str(), &hints, &found);
        error != 0) {
      why = gai_strerror(error);
      found = nullptr;
    }
    // Several for a name, which get the same port.
    int chosen = 0;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
      if (chosen != 0) SetPort(one->ai_addr, chosen);
      if (const int fd = SocketAt(one->ai_addr, one->ai_addrlen); fd >= 0) {
        listening_.push_back(fd);
        chosen = PortOf(fd);
      } else {
        why = std::strerror(errno);
      }
    }
    if (found != nullptr) freeaddrinfo(std::exchange(found, nullptr));
    if (!listening_.empty()) return absl::OkStatus();
    if (!everywhere) break;
  }
  return CantListen(absl::StrCat(
      "can't listen on ", address_,
      ": another process does, or it is no address of this machine (", why,
      ")"));
}

absl::Status Listener::ListenOnPath(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return CantListen(absl::StrCat("can't listen on ", address_,
                                   ": a path has 1 to ",
                                   sizeof(address.sun_path) - 1, " bytes"));
  }
  path.copy(address.sun_path, path.size());
  if (struct stat there;
      lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) {
    unlink(path.c_str());  // of a server that was killed
  }
  const int fd =
      SocketAt(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (fd < 0) {
    return CantListen(
        absl::StrCat("can't listen on ", address_, ": ", std::strerror(errno)));
  }
  listening_.push_back(fd);
  path_ = path;
  return absl::OkStatus();
}

Listener::~Listener() {
  StopAccepting();
  if (watches_.joinable()) {
    eventfd_write(stop_, 1);
    watches_.join();
  }
  for (const int fd :
       {accepting_, watching_, newcomer_, refuse_, stop_, reserve_}) {
    if (fd >= 0) close(fd);
  }
}

void Listener::Start(access::Connections& connections, absl::Duration silence,
                     std::function<void(int)> take) {
  connections_ = &connections;
  silence_ = silence;
  take_ = std::move(take);
  accepting_ = epoll_create1(EPOLL_CLOEXEC);
  watching_ = epoll_create1(EPOLL_CLOEXEC);
  newcomer_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  refuse_ = eventfd(0, EFD_CLOEXEC);
  stop_ = eventfd(0, EFD_CLOEXEC);
  reserve_ = OpenReserve();
  Watch(accepting_, refuse_, EPOLLIN);
  for (const int fd : listening_) Watch(accepting_, fd, EPOLLIN);
  Watch(watching_, stop_, EPOLLIN);
  Watch(watching_, newcomer_, EPOLLIN | EPOLLET);
  watches_ = std::thread([this] { WatchConnections(); });
  accepts_ = std::thread([this] { AcceptConnections(); });
}

void Listener::StopAccepting() {
  if (accepts_.joinable()) {
    eventfd_write(refuse_, 1);
    accepts_.join();
  }
  for (const int fd : listening_) close(fd);
  listening_.clear();
  if (!path_.empty()) unlink(std::exchange(path_, "").c_str());
}

void Listener::AcceptConnections() {
  while (true) {
    epoll_event events[8];
    const int count = epoll_wait(accepting_, events, std::size(events), -1);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == refuse_) return;
      Accept(events[i].data.fd);
    }
  }
}

void Listener::Accept(int listening) {
  constexpr int kFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  int socket = accept4(listening, nullptr, nullptr, kFlags);
  if (socket < 0 && (errno == EMFILE || errno == ENFILE)) {
    // The newcomer would wait without an end, and so would all behind it.
    close(std::exchange(reserve_, -1));
    socket = accept4(listening, nullptr, nullptr, kFlags);
    if (socket >= 0) {
      connections_->CountRefused(socket);
      close(std::exchange(socket, -1));
    }
    reserve_ = OpenReserve();
  }
  if (socket < 0) {
    // Gone by now, or no memory for it: not to be tried again at once.
    pollfd refuse = {refuse_, POLLIN, 0};
    poll(&refuse, 1, 1);
    return;
  }
  const absl::optional<int> watched = connections_->Add(socket);
  if (!watched) {
    close(socket);
    return;
  }
  // As gRPC does with what it accepts; they mean nothing to a Unix socket.
  const int on = 1;
  const int silence = static_cast<int>(absl::ToInt64Milliseconds(silence_));
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof(silence));
  Watch(watching_, *watched, 0);
  eventfd_write(newcomer_, 1);
  take_(socket);
}

void Listener::WatchConnections() {
  // Soon after a newcomer, but not for each of many.
  constexpr absl::Duration kSoon = absl::Milliseconds(2);
  base::SteadyTime next_check = base::SteadyTime::InfiniteFuture();
  while (true) {
    if (base::SteadyTime::Now() >= next_check) {
      const absl::Duration pause = connections_->CheckStrangers();
      next_check = base::SteadyTime::Now() + pause;
    }
    epoll_event events[64];
    const int count = epoll_wait(watching_, events, std::size(events),
                                 PauseOf(next_check - base::SteadyTime::Now()));
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == stop_) return;
      if (fd == newcomer_) {
        next_check = std::min(next_check, base::SteadyTime::Now() + kSoon);
      } else if ((events[i].events & (EPOLLHUP | EPOLLERR)) != 0) {
        epoll_ctl(watching_, EPOLL_CTL_DEL, fd, nullptr);
        connections_->Remove(fd);
      }
    }
  }
}

}  // namespace userprofile::transport
