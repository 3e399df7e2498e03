#include "tests/bench/grpc_connection.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace userprofile::bench {
namespace {

constexpr std::int32_t kWindow = 16 * 1024 * 1024;  // never the bottleneck

[[noreturn]] void Fail(const std::string& what) {
  throw std::runtime_error(what + ": " +
                           std::generic_category().message(errno));
}

int ConnectUnix(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw std::runtime_error(path + " is too long for a Unix socket");
  }
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address),
                        sizeof(address)) != 0) {
    Fail(path);
  }
  return fd;
}

int ConnectTcp(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    throw std::runtime_error(address + " is not HOST:PORT or unix:PATH");
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.substr(0, colon).c_str(),
                  address.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0)
    throw std::runtime_error(address + ": " + gai_strerror(error));
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected =
      fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (!connected) Fail(address);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

int Connect(const std::string& address) {
  constexpr std::string_view kUnix = "unix:";
  return address.compare(0, kUnix.size(), kUnix) == 0
             ? ConnectUnix(address.substr(kUnix.size()))
             : ConnectTcp(address);
}

void Check(ssize_t result) {
  if (result < 0) {
    throw std::runtime_error(nghttp2_strerror(static_cast<int>(result)));
  }
}

std::uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

nghttp2_nv Header(std::string_view name, std::string_view value) {
  return {Bytes(name), Bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

}  // namespace

GrpcConnection::GrpcConnection(const std::string& address,
                               std::chrono::seconds timeout)
    : fd_(Connect(address)), timeout_(std::to_string(timeout.count()) + "S") {
  nghttp2_session_callbacks* callbacks = nullptr;
  Check(nghttp2_session_callbacks_new(&callbacks));
  nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                         OnStreamClose);
  const int created = nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  Check(created);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
  Check(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings,
                                std::size(settings)));
  Check(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                              kWindow));
  Flush();
}

GrpcConnection::~GrpcConnection() {
  nghttp2_session_del(session_);
  close(fd_);
}

void GrpcConnection::StartCall(const Requests::Request& request, Call* call) {
  call->message_ = &request.message;
  call->sent_ = 0;
  call->code_.clear();
  call->details_.clear();
  const nghttp2_nv headers[] = {Header(":method", "POST"),
                                Header(":scheme", "http"),
                                Header(":path", request.path),
                                Header(":authority", "localhost"),
                                Header("te", "trailers"),
                                Header("content-type", "application/grpc"),
                                Header("user-agent", "userprofile-bench"),
                                Header("grpc-timeout", timeout_)};
  nghttp2_data_provider message = {};
  message.source.ptr = call;
  message.read_callback = ReadMessage;
  Check(nghttp2_submit_request(session_, nullptr, headers, std::size(headers),
                               &message, call));
}

void GrpcConnection::Flush() {
  const std::uint8_t* frames = nullptr;
  ssize_t size = 0;
  while ((size = nghttp2_session_mem_send(session_, &frames)) > 0) {
    outgoing_.append(reinterpret_cast<const char*>(frames),
                     static_cast<std::size_t>(size));
  }
  Check(size);
  if (outgoing_.empty()) return;
  const ssize_t sent = send(fd_, outgoing_.data(), outgoing_.size(),
                            MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) Fail("sending");
  if (sent > 0) outgoing_.erase(0, static_cast<std::size_t>(sent));
}

void GrpcConnection::Read() {
  std::array<std::uint8_t, 256 * 1024> bytes;
  const ssize_t size = recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) Fail("reading");
  if (size == 0) {
    throw std::runtime_error("the server has closed the connection");
  }
  Check(nghttp2_session_mem_recv(session_, bytes.data(),
                                 static_cast<std::size_t>(size)));
}

ssize_t GrpcConnection::ReadMessage(nghttp2_session*, std::int32_t,
                                    std::uint8_t* buffer, std::size_t size,
                                    std::uint32_t* flags,
                                    nghttp2_data_source* source, void*) {
  Call& call = *static_cast<Call*>(source->ptr);
  const std::size_t rest = call.message_->size() - call.sent_;
  const std::size_t now = std::min(rest, size);
  std::memcpy(buffer, call.message_->data() + call.sent_, now);
  call.sent_ += now;
  if (now == rest) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(now);
}

int GrpcConnection::OnHeader(nghttp2_session* session,
                             const nghttp2_frame* frame,
                             const std::uint8_t* name, std::size_t name_size,
                             const std::uint8_t* value, std::size_t value_size,
                             std::uint8_t, void*) {
  const std::string_view key(reinterpret_cast<const char*>(name), name_size);
  if (key != "grpc-status" && key != "grpc-message") return 0;
  void* call =
      nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  if (call == nullptr) return 0;
  std::string& kept = key == "grpc-status" ? static_cast<Call*>(call)->code_
                                           : static_cast<Call*>(call)->details_;
  kept.assign(reinterpret_cast<const char*>(value), value_size);
  return 0;
}

int GrpcConnection::OnStreamClose(nghttp2_session* session, std::int32_t stream,
                                  std::uint32_t error, void*) {
  void* found = nghttp2_session_get_stream_user_data(session, stream);
  if (found == nullptr) return 0;
  Call& call = *static_cast<Call*>(found);
  if (call.code_ == "0") {
    call.OnAnswer("");
  } else if (call.code_.empty()) {
    call.OnAnswer(std::string("no status: ") + nghttp2_http2_strerror(error));
  } else {
    call.OnAnswer(call.code_ + " " + call.details_);
  }
  return 0;
}

}  // namespace userprofile::bench
