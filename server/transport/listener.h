#ifndef USERPROFILE_SERVER_TRANSPORT_LISTENER_H_
#define USERPROFILE_SERVER_TRANSPORT_LISTENER_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/connections.h"

namespace userprofile::transport {

// Accepts connections for gRPC, which would neither bound them nor ever accept
// again once the process had run out of descriptors (CVE-2023-4785). One thread
// accepts, and another one watches what becomes of them: gRPC reads and parses
// what has come by then on the thread that gives it a connection. Thread-safe.
class Listener {
 public:
  // Listens on "HOST:PORT", where port 0 takes a free one, or on "unix:PATH",
  // where a socket that lies there is replaced: hold the path before. Nobody is
  // accepted yet. FAILED_PRECONDITION if the address can't be listened on.
  static absl::StatusOr<std::unique_ptr<Listener>> Listen(
      const std::string& address);

  // Stops to watch too.
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // As it was given, but with the real port.
  const std::string& address() const { return address_; }

  // Accepts, from now on. `take` gets the socket of each connection that
  // `connections` has room for, and owns it. `silence`: when a connection is
  // given up whose other end does not confirm what was sent. To be called once.
  void Start(access::Connections& connections, absl::Duration silence,
             std::function<void(int socket)> take);

  // Refuses newcomers, and returns when `take` was called for the last time;
  // those who are there are watched as before. Further calls do nothing.
  void StopAccepting();

 private:
  Listener() = default;

  absl::Status ListenOnPort(const std::string& host, const std::string& port);
  absl::Status ListenOnPath(const std::string& path);
  void AcceptConnections();
  void Accept(int listening);
  void WatchConnections();

  std::string address_;
  std::string path_;  // of a Unix socket; empty for none
  std::vector<int> listening_;
  int accepting_ = -1;  // epoll: of sockets that listen
  int watching_ = -1;   // epoll: of connections that are there
  int newcomer_ = -1;   // an event
  int refuse_ = -1;     // an event: accept no more
  int stop_ = -1;       // an event: watch no more
  int reserve_ = -1;    // a descriptor to give up when there are no others

  access::Connections* connections_ = nullptr;
  absl::Duration silence_;
  std::function<void(int)> take_;
  std::thread accepts_;
  std::thread watches_;
};

}  // namespace userprofile::transport

#endif  // USERPROFILE_SERVER_TRANSPORT_LISTENER_H_
