#include "ops/http_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/mutex.h"
#include "base/steady_time.h"

namespace userprofile::ops {
namespace {

using base::MutexLock;
using base::SteadyTime;

// For headers and what is read and written at once, for each connection.
constexpr std::size_t kConnectionMemory = 32 * 1024;

constexpr char kTooLong[] =
    "HTTP/1.1 413 Content Too Large\r\n"
    "Connection: close\r\nContent-Length: 0\r\n\r\n";

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

// The socket, and the address with the real port.
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

// What is wrong with a request as HTTP goes: the status to refuse it with, or
// 0. Two that read its length differently could be told different requests.
int StatusOfHeaders(const HttpRequest& request, std::size_t max_body) {
  int lengths = 0;
  int encodings = 0;
  std::size_t length = 0;
  for (const auto& [name, value] : request.headers) {
    if (absl::EqualsIgnoreCase(name, "Content-Length")) {
      if (++lengths > 1) return 400;
      if (!absl::SimpleAtoi(value, &length) || length > max_body) return 413;
    } else if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
      ++encodings;
      if (!absl::EqualsIgnoreCase(value, "chunked")) return 501;
    } else if (absl::EqualsIgnoreCase(name, "Content-Encoding") &&
               !absl::EqualsIgnoreCase(value, "identity")) {
      return 415;
    }
  }
  return lengths + encodings > 1 ? 400 : 0;
}

}  // namespace

absl::string_view HttpRequest::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(key, name)) return value;
  }
  return "";
}

HttpResponse MethodNotAllowed(absl::string_view allowed) {
  return {.status = 405, .headers = {{"Allow", std::string(allowed)}}};
}

// One thread, the library's, reads and writes all connections; `threads` more
// answer, while the library leaves the request's connection alone (it is
// "suspended"); and one watches the time, for the library has no limit for a
// client that sends byte after byte.
class HttpServer::Daemon {
 public:
  Daemon(int listening, const HttpServerOptions& options, HttpHandler handler)
      : options_(options),
        handler_(std::move(handler)),
        listening_(listening) {}

  ~Daemon() {
    // The library keeps the socket till the end; nobody connects any more.
    if (daemon_ != nullptr) ::MHD_quiesce_daemon(daemon_);
    ::shutdown(listening_, SHUT_RDWR);
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
      for (Connection* connection : connections_) {
        if (connection->state == State::kReading) Break(*connection);
      }
      changed_.SignalAll();
    }
    for (std::thread& worker : workers_) worker.join();
    AwaitAnswers(absl::Seconds(1));
    if (daemon_ != nullptr) ::MHD_stop_daemon(daemon_);
    ::close(listening_);
    {
      const MutexLock lock(mutex_);
      ended_ = true;
      changed_.SignalAll();
    }
    if (watcher_.joinable()) watcher_.join();
  }

  // Whether it runs; to be called once.
  bool Start() {
    const auto silence = static_cast<unsigned>(
        std::max<std::int64_t>(1, absl::ToInt64Seconds(options_.silence)));
    daemon_ = ::MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC,
        /*port=*/0, nullptr, nullptr, &OnRequest, this,
        MHD_OPTION_LISTEN_SOCKET, listening_,                             //
        MHD_OPTION_NOTIFY_CONNECTION, &OnConnection, this,                //
        MHD_OPTION_NOTIFY_COMPLETED, &OnCompleted, this,                  //
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory,            //
        MHD_OPTION_CONNECTION_TIMEOUT, silence,                           //
        MHD_OPTION_CONNECTION_LIMIT, unsigned(options_.max_connections),  //
        MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        unsigned(options_.max_connections_per_address),  //
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (daemon_ == nullptr) return false;
    watcher_ = std::thread([this] { Watch(); });
    for (int i = 0; i < options_.threads; ++i) {
      workers_.emplace_back([this] { Work(); });
    }
    return true;
  }

 private:
  enum class State { kReading, kWorking, kAnswering };

  struct Connection {
    const int fd;
    const SteadyTime begin = SteadyTime::Now();
    int requests = 0;  // used by the library's thread only
    // Protected by mutex_.
    State state = State::kReading;
    SteadyTime deadline = SteadyTime::InfiniteFuture();
  };

  // A request and its answer. The library's thread's, but a worker's while the
  // connection is suspended.
  struct Exchange {
    MHD_Connection* const handle;
    Connection& connection;
    HttpRequest request;
    HttpResponse response;
    bool answered = false;
  };

  static void Break(const Connection& connection) {
    ::shutdown(connection.fd, SHUT_RDWR);  // and the library closes it
  }

  static Connection& ConnectionOf(MHD_Connection* handle) {
    return *static_cast<Connection*>(
        ::MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
            ->socket_context);
  }

  static void OnConnection(void* self, MHD_Connection* handle, void** context,
                           MHD_ConnectionNotificationCode what) {
    auto& daemon = *static_cast<Daemon*>(self);
    const MutexLock lock(daemon.mutex_);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
      auto* const connection = new Connection{
          ::MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD)
              ->connect_fd};
      connection->deadline = connection->begin + daemon.options_.transfer;
      *context = connection;
      if (daemon.stopping_) Break(*connection);
      daemon.connections_.insert(connection);
      if (daemon.connections_.size() == 1) daemon.changed_.SignalAll();
    } else {
      // Its descriptor is closed only after this.
      auto* const connection = static_cast<Connection*>(*context);
      daemon.connections_.erase(connection);
      delete connection;
    }
  }

  // Called with the headers first; then with each part of the body; then once
  // more; and again when the connection was resumed.
  static MHD_Result OnRequest(void* self, MHD_Connection* handle,
                              const char* path, const char* method, const char*,
                              const char* data, std::size_t* size,
                              void** context) {
    auto& daemon = *static_cast<Daemon*>(self);
    auto* const exchange = static_cast<Exchange*>(*context);
    if (exchange == nullptr) {
      auto* const begun = new Exchange{handle, ConnectionOf(handle), {}, {}};
      *context = begun;
      begun->request.method = std::strcmp(method, "HEAD") == 0 ? "GET" : method;
      begun->request.path = path;
      return daemon.Begin(*begun);
    }
    if (*size > 0) return daemon.Read(*exchange, data, *size);
    if (exchange->answered) {
      return daemon.Send(*exchange, exchange->response, /*close=*/false);
    }
    return daemon.Enqueue(*exchange);
  }

  static void OnCompleted(void* self, MHD_Connection*, void** context,
                          MHD_RequestTerminationCode) {
    auto& daemon = *static_cast<Daemon*>(self);
    auto* const exchange = static_cast<Exchange*>(*context);
    if (exchange == nullptr) return;
    daemon.SetState(exchange->connection, State::kReading);
    delete exchange;
  }

  MHD_Result Begin(Exchange& exchange) {
    ::MHD_get_connection_values(
        exchange.handle, MHD_HEADER_KIND,
        [](void* headers, MHD_ValueKind, const char* name, const char* value) {
          static_cast<HttpHeaders*>(headers)->emplace_back(
              name, value == nullptr ? "" : value);
          return MHD_YES;
        },
        &exchange.request.headers);
    auto refusal = handler_.refuse(exchange.request);
    if (!refusal) {
      const int status = StatusOfHeaders(exchange.request, options_.max_body);
      if (status == 0) return MHD_YES;
      refusal = HttpResponse{.status = status};
    }
    CountRefusal(refusal->status);
    return Send(exchange, *refusal, /*close=*/true);
  }

  MHD_Result Read(Exchange& exchange, const char* data, std::size_t& size) {
    std::string& body = exchange.request.body;
    if (size > options_.max_body - body.size()) {
      // The library can't answer within a body. Nothing else is being sent, so
      // that this short answer fits.
      CountRefusal(413);
      (void)::send(exchange.connection.fd, kTooLong, sizeof(kTooLong) - 1,
                   MSG_NOSIGNAL | MSG_DONTWAIT);
      return MHD_NO;  // which closes the connection
    }
    body.append(data, size);
    size = 0;
    return MHD_YES;
  }

  MHD_Result Enqueue(Exchange& exchange) {
    ::MHD_suspend_connection(exchange.handle);
    exchange.answered = true;
    {
      const MutexLock lock(mutex_);
      if (!stopping_) {
        exchange.connection.state = State::kWorking;
        queue_.push_back(&exchange);
        changed_.SignalAll();
        return MHD_YES;
      }
    }
    exchange.response.status = 503;
    ::MHD_resume_connection(exchange.handle);
    return MHD_YES;
  }

  MHD_Result Send(Exchange& exchange, const HttpResponse& answer, bool close) {
    Connection& connection = exchange.connection;
    const bool stopping = SetState(connection, State::kAnswering);
    close = close || stopping ||
            ++connection.requests >= options_.requests_per_connection ||
            SteadyTime::Now() - connection.begin > options_.lifetime;
    MHD_Response* const response = ::MHD_create_response_from_buffer(
        answer.body.size(), const_cast<char*>(answer.body.data()),
        MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    const auto add = [response](const char* name, const std::string& value) {
      ::MHD_add_response_header(response, name, value.c_str());
    };
    if (close) add(MHD_HTTP_HEADER_CONNECTION, "close");
    if (!answer.content_type.empty()) {
      add(MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type);
    }
    for (const auto& [name, value] : answer.headers) add(name.c_str(), value);
    const bool valid = answer.status >= 200 && answer.status <= 599;
    const MHD_Result queued = ::MHD_queue_response(
        exchange.handle, valid ? answer.status : 500, response);
    ::MHD_destroy_response(response);
    return queued;
  }

  void CountRefusal(int status) {
    if (handler_.on_refused) handler_.on_refused(status);
  }

  // Returns whether the server is being stopped.
  bool SetState(Connection& connection, State state) {
    const MutexLock lock(mutex_);
    connection.state = state;
    connection.deadline = SteadyTime::Now() + options_.transfer;
    if (stopping_) changed_.SignalAll();
    return stopping_;
  }

  void Work() {
    while (Exchange* const exchange = Take()) {
      exchange->response = handler_.answer(exchange->request);
      SetState(exchange->connection, State::kAnswering);
      // It is the library's from now on.
      ::MHD_resume_connection(exchange->handle);
    }
  }

  // The next request to answer; null if the server stops and there is none.
  Exchange* Take() {
    const MutexLock lock(mutex_);
    while (queue_.empty() && !stopping_) changed_.Wait(mutex_);
    if (queue_.empty()) return nullptr;
    Exchange* const exchange = queue_.front();
    queue_.pop_front();
    return exchange;
  }

  void Watch() {
    const MutexLock lock(mutex_);
    while (!ended_) {
      if (connections_.empty()) {
        changed_.Wait(mutex_);
      } else {
        changed_.WaitFor(mutex_, absl::Milliseconds(250));
      }
      const SteadyTime now = SteadyTime::Now();
      for (const Connection* connection : connections_) {
        if (connection->state != State::kWorking &&
            connection->deadline < now) {
          Break(*connection);
        }
      }
    }
  }

  // Waits until what was answered is sent.
  void AwaitAnswers(absl::Duration patience) {
    const MutexLock lock(mutex_);
    const SteadyTime end = SteadyTime::Now() + patience;
    const auto is_answering = [](const Connection* connection) {
      return connection->state == State::kAnswering;
    };
    while (
        SteadyTime::Now() < end &&
        std::any_of(connections_.begin(), connections_.end(), is_answering)) {
      changed_.WaitUntil(mutex_, end);
    }
  }

  const HttpServerOptions options_;
  const HttpHandler handler_;
  const int listening_;
  MHD_Daemon* daemon_ = nullptr;

  base::Mutex mutex_;
  base::CondVar changed_;
  std::set<Connection*> connections_ ABSL_GUARDED_BY(mutex_);
  std::deque<Exchange*> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;  // answers what it has
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> workers_;
  std::thread watcher_;
};

HttpServer::HttpServer(std::string address, std::unique_ptr<Daemon> daemon)
    : address_(std::move(address)), daemon_(std::move(daemon)) {}

HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    absl::string_view address, const HttpServerOptions& options,
    HttpHandler handler) {
  auto listening = Listen(address);
  if (!listening.ok()) return listening.status();
  auto daemon =
      std::make_unique<Daemon>(listening->first, options, std::move(handler));
  if (!daemon->Start()) {
    return absl::FailedPreconditionError(
        absl::StrCat("can't serve HTTP on ", address));
  }
  return std::unique_ptr<HttpServer>(
      new HttpServer(std::move(listening->second), std::move(daemon)));
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

}  // namespace userprofile::ops
