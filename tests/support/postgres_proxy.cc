#include "tests/support/postgres_proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace userprofile::testing {
namespace {

constexpr char kSocketName[] = "/.s.PGSQL.5432";

int Check(int result, const char* what) {
  if (result >= 0) return result;
  std::perror(what);
  std::exit(1);
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

bool SendAll(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

// The length that a message says it has, in network order.
std::size_t LengthAt(const std::string& buffer, std::size_t at) {
  std::size_t length = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    length = length << 8 | static_cast<unsigned char>(buffer[i]);
  }
  return length;
}

}  // namespace

struct PostgresProxy::Connection {
  int client;
  int server;               // -1: closed by PostgreSQL, and held open
  std::string buffer = {};  // the client's bytes that are not counted yet
  bool started = false;     // the first message has another form
  bool executes = false;    // a prepared statement, since the last Sync
};

PostgresProxy::PostgresProxy(const std::string& conninfo, int freeze_at)
    : freeze_at_(freeze_at) {
  std::vector<std::string> words = absl::StrSplit(conninfo, ' ');
  for (std::string& word : words) {
    absl::string_view folder = word;
    if (!absl::ConsumePrefix(&folder, "host=")) continue;
    upstream_ = absl::StrCat(folder, kSocketName);
    word = absl::StrCat("host=", directory_ / "");
  }
  conninfo_ = absl::StrJoin(words, " ");

  listener_ = Check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const sockaddr_un address = AddressOf(directory_ / (kSocketName + 1));
  Check(bind(listener_, reinterpret_cast<const sockaddr*>(&address),
             sizeof(address)),
        "bind");
  Check(listen(listener_, SOMAXCONN), "listen");
  Check(pipe2(stop_, O_CLOEXEC), "pipe");
  thread_ = std::thread([this] { Run(); });
}

PostgresProxy::~PostgresProxy() {
  close(stop_[1]);
  thread_.join();
  close(stop_[0]);
  close(listener_);
  for (const Connection& connection : connections_) {
    close(connection.client);
    if (connection.server >= 0) close(connection.server);
  }
}

void PostgresProxy::Run() {
  while (true) {
    std::vector<pollfd> polled = {{stop_[0], POLLIN, 0}};
    if (!frozen_) {
      polled.push_back({listener_, POLLIN, 0});
      for (const Connection& connection : connections_) {
        polled.push_back({connection.client, POLLIN, 0});
        polled.push_back({connection.server, POLLIN, 0});
      }
    }
    poll(polled.data(), polled.size(), -1);
    if (polled[0].revents != 0) return;
    std::size_t i = 2;
    for (auto c = connections_.begin(); c != connections_.end(); i += 2) {
      if (frozen_) break;
      const bool alive = (polled[i].revents == 0 || FromClient(*c)) &&
                         (polled[i + 1].revents == 0 || FromServer(*c));
      if (!alive) {
        close(c->client);
        if (c->server >= 0) close(c->server);
        c = connections_.erase(c);
      } else {
        ++c;
      }
    }
    if (!frozen_ && polled[1].revents != 0) Accept();
  }
}

void PostgresProxy::Accept() {
  Connection connection = {};
  connection.client =
      Check(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), "accept");
  connection.server =
      Check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const sockaddr_un address = AddressOf(upstream_);
  Check(connect(connection.server, reinterpret_cast<const sockaddr*>(&address),
                sizeof(address)),
        "connect");
  connections_.push_back(connection);
}

bool PostgresProxy::FromClient(Connection& connection) {
  std::array<char, 65536> bytes;
  const ssize_t n = recv(connection.client, bytes.data(), bytes.size(), 0);
  if (n <= 0) return false;
  const auto size = static_cast<std::size_t>(n);
  connection.buffer.append(bytes.data(), size);
  const bool freeze = Count(connection);
  const bool sent = SendAll(connection.server, bytes.data(), size);
  if (freeze) frozen_ = true;
  return sent;
}

bool PostgresProxy::FromServer(Connection& connection) {
  std::array<char, 65536> bytes;
  const ssize_t n = recv(connection.server, bytes.data(), bytes.size(), 0);
  if (n <= 0 && hold_closing_) {
    close(std::exchange(connection.server, -1));
    return true;
  }
  return n > 0 &&
         SendAll(connection.client, bytes.data(), static_cast<std::size_t>(n));
}

// https://www.postgresql.org/docs/current/protocol-message-formats.html
bool PostgresProxy::Count(Connection& connection) {
  std::string& buffer = connection.buffer;
  while (true) {
    const std::size_t type_size = connection.started ? 1 : 0;
    if (buffer.size() < type_size + 4) return false;
    const std::size_t size = type_size + LengthAt(buffer, type_size);
    if (buffer.size() < size) return false;
    const char type = connection.started ? buffer[0] : '\0';
    buffer.erase(0, size);
    connection.started = true;
    if (type == 'E') connection.executes = true;
    const bool is_statement =
        type == 'Q' || (type == 'S' && connection.executes);
    if (type == 'S') connection.executes = false;
    // A client waits for the answer to each: nothing stands behind it.
    if (is_statement && ++statements_ == freeze_at_) return true;
  }
}

}  // namespace userprofile::testing
