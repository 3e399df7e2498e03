#include "ops/http_server.h"

#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <set>
#include <system_error>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/steady_time.h"
#include "ops/http_stream.h"
#include "ops/listen.h"

namespace userprofile::ops {
namespace {

using base::MutexLock;
using base::SteadyTime;

// For headers and what is read and written at once, for each connection.
constexpr std::size_t kConnectionMemory = 32 * 1024;

// How long a stream may go on once the server is being stopped.
constexpr absl::Duration kStreamsLast = absl::Seconds(5);

constexpr char kTooLong[] =
    "HTTP/1.1 413 Content Too Large\r\n"
    "Connection: close\r\nContent-Length: 0\r\n\r\n";

// What is wrong with a request as HTTP goes: the status to refuse it with, or
// 0. Two that read its length differently could be told different requests.
// A stream may be of any length and encoding.
int StatusOfHeaders(const HttpRequest& request, std::size_t max_body,
                    bool is_stream) {
  int lengths = 0;
  int encodings = 0;
  std::size_t length = 0;
  for (const auto& [name, value] : request.headers) {
    if (absl::EqualsIgnoreCase(name, "Content-Length")) {
      if (++lengths > 1) return 400;
      if (!absl::SimpleAtoi(value, &length) ||
          length > std::size_t(std::numeric_limits<std::int64_t>::max())) {
        return 413;
      }
      if (!is_stream && length > max_body) return 413;
    } else if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
      ++encodings;
      if (!absl::EqualsIgnoreCase(value, "chunked")) return 501;
    } else if (!is_stream && absl::EqualsIgnoreCase(name, "Content-Encoding") &&
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
    std::vector<std::thread> workers;
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
      const SteadyTime last_moment = SteadyTime::Now() + kStreamsLast;
      for (Connection* connection : connections_) {
        if (connection->state == State::kReading) Break(*connection);
        if (connection->state == State::kStreaming) {
          connection->deadline = last_moment;
        }
      }
      changed_.SignalAll();
      queued_.SignalAll();
      workers.swap(workers_);
    }
    for (std::thread& worker : workers) worker.join();
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
        MHD_OPTION_URI_LOG_CALLBACK, &OnTarget, this,                     //
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory,            //
        MHD_OPTION_CONNECTION_TIMEOUT, silence,                           //
        MHD_OPTION_CONNECTION_LIMIT, unsigned(options_.max_connections),  //
        MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        unsigned(options_.max_connections_per_address),  //
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (daemon_ == nullptr) return false;
    watcher_ = std::thread([this] { Watch(); });
    return true;
  }

 private:
  enum class State { kReading, kWorking, kAnswering, kStreaming };

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
    HttpRequest request = {};
    HttpResponse response = {};
    bool begun = false;
    bool answered = false;
    std::shared_ptr<HttpStream> stream = nullptr;
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

  // Called before all others.
  static void* OnTarget(void*, const char* target, MHD_Connection* handle) {
    auto* const exchange = new Exchange{handle, ConnectionOf(handle)};
    exchange->request.target = target;
    return exchange;
  }

  // Called with the headers first; then with each part of the body; then once
  // more; and again when the connection was resumed.
  static MHD_Result OnRequest(void* self, MHD_Connection* handle,
                              const char* path, const char* method, const char*,
                              const char* data, std::size_t* size,
                              void** context) {
    auto& daemon = *static_cast<Daemon*>(self);
    auto& exchange = *static_cast<Exchange*>(*context);
    if (!exchange.begun) {
      exchange.begun = true;
      HttpRequest& request = exchange.request;
      request.method = std::strcmp(method, "HEAD") == 0 ? "GET" : method;
      request.path = path;
      return daemon.Begin(exchange);
    }
    if (exchange.stream != nullptr) return daemon.Stream(exchange, data, *size);
    if (*size > 0) return daemon.Read(exchange, data, *size);
    if (exchange.answered) {
      return daemon.Send(exchange, exchange.response, /*close=*/false);
    }
    return daemon.Answer(exchange);
  }

  static void OnCompleted(void* self, MHD_Connection*, void** context,
                          MHD_RequestTerminationCode) {
    auto& daemon = *static_cast<Daemon*>(self);
    auto* const exchange = static_cast<Exchange*>(*context);
    if (exchange == nullptr) return;
    if (exchange->stream != nullptr) exchange->stream->Leave();
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
      const bool is_stream = handler_.stream != nullptr;
      const int status =
          StatusOfHeaders(exchange.request, options_.max_body, is_stream);
      if (status == 0) return is_stream ? BeginStream(exchange) : MHD_YES;
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

  MHD_Result Answer(Exchange& exchange) {
    ::MHD_suspend_connection(exchange.handle);
    exchange.answered = true;
    const auto work = [this, &exchange] {
      exchange.response = handler_.answer(exchange.request);
      SetState(exchange.connection, State::kAnswering);
      // It is the library's from now on.
      ::MHD_resume_connection(exchange.handle);
    };
    if (!Enqueue(exchange.connection, State::kWorking, work)) {
      exchange.response.status = 503;
      ::MHD_resume_connection(exchange.handle);
    }
    return MHD_YES;
  }

  MHD_Result BeginStream(Exchange& exchange) {
    const auto stream = std::make_shared<HttpStream>(
        exchange.handle, exchange.connection.fd, exchange.request);
    const auto work = [this, stream] {
      handler_.stream(*stream);
      stream->End();
    };
    if (!Enqueue(exchange.connection, State::kStreaming, work)) {
      return Send(exchange, {.status = 503}, /*close=*/true);
    }
    exchange.stream = stream;
    return MHD_YES;
  }

  MHD_Result Stream(Exchange& exchange, const char* data, std::size_t& size) {
    HttpStream& stream = *exchange.stream;
    if (size > 0) {
      stream.Receive(data, size);
      return MHD_YES;
    }
    if (!stream.EndBody()) return MHD_YES;
    return Send(exchange, stream.head(),
                HttpStream::NewResponse(exchange.stream),
                /*close=*/false);
  }

  MHD_Result Send(Exchange& exchange, const HttpResponse& answer, bool close) {
    SetState(exchange.connection, State::kAnswering);
    return Send(exchange, answer,
                ::MHD_create_response_from_buffer(
                    answer.body.size(), const_cast<char*>(answer.body.data()),
                    MHD_RESPMEM_MUST_COPY),
                close);
  }

  MHD_Result Send(Exchange& exchange, const HttpResponse& answer,
                  MHD_Response* response, bool close) {
    if (response == nullptr) return MHD_NO;
    Connection& connection = exchange.connection;
    close = close || IsStopping() ||
            ++connection.requests >= options_.requests_per_connection ||
            SteadyTime::Now() - connection.begin > options_.lifetime;
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

  void SetState(Connection& connection, State state) {
    const MutexLock lock(mutex_);
    connection.state = state;
    connection.deadline = SteadyTime::Now() + options_.transfer;
    if (stopping_) changed_.SignalAll();
  }

  bool IsStopping() {
    const MutexLock lock(mutex_);
    return stopping_;
  }

  // False if the server is being stopped, or there is nobody to do it.
  bool Enqueue(Connection& connection, State state,
               std::function<void()> work) {
    const MutexLock lock(mutex_);
    if (stopping_) return false;
    queue_.push_back(std::move(work));
    if (idle_ >= queue_.size()) {
      queued_.SignalOne();
    } else if (workers_.size() < std::size_t(options_.threads)) {
      try {
        workers_.emplace_back([this] { Work(); });
      } catch (const std::system_error&) {
        // The others will do, unless there are none.
        if (workers_.empty()) {
          queue_.pop_back();
          return false;
        }
      }
    }
    connection.state = state;
    connection.deadline = SteadyTime::InfiniteFuture();
    return true;
  }

  void Work() {
    while (const std::function<void()> work = Take()) work();
  }

  // What is to be done next; null if the server stops and there is nothing.
  std::function<void()> Take() {
    const MutexLock lock(mutex_);
    ++idle_;
    while (queue_.empty() && !stopping_) queued_.Wait(mutex_);
    --idle_;
    if (queue_.empty()) return nullptr;
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    return work;
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
        if (connection->deadline < now) Break(*connection);
      }
    }
  }

  // Waits until what was answered is sent.
  void AwaitAnswers(absl::Duration patience) {
    const MutexLock lock(mutex_);
    const SteadyTime end = SteadyTime::Now() + patience;
    const auto is_answering = [](const Connection* connection) {
      return connection->state == State::kAnswering ||
             connection->state == State::kStreaming;
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
  base::CondVar queued_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> workers_ ABSL_GUARDED_BY(mutex_);
  std::size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;   // of them
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;  // answers what it has
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;

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

}  // namespace userprofile::ops
