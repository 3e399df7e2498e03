#include "tests/support/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace userprofile::testing {
namespace {

std::string Decoded(const std::string& text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      decoded += absl::HexStringToBytes(text.substr(i + 1, 2));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

void ReadArguments(const std::string& text,
                   std::map<std::string, std::string>& arguments) {
  for (const absl::string_view pair :
       absl::StrSplit(text, '&', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    arguments[Decoded(parts.first)] = Decoded(parts.second);
  }
}

// The method, the path, its arguments, and the headers.
HttpRequest HeadOf(const std::string& text) {
  HttpRequest request;
  const std::vector<std::string> lines =
      absl::StrSplit(text, "\r\n", absl::SkipEmpty());
  const std::vector<std::string> words = absl::StrSplit(lines.at(0), ' ');
  request.method = words.at(0);
  const std::pair<std::string, std::string> target =
      absl::StrSplit(words.at(1), absl::MaxSplits('?', 1));
  request.path = target.first;
  ReadArguments(target.second, request.arguments);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::pair<std::string, std::string> header =
        absl::StrSplit(lines[i], absl::MaxSplits(':', 1));
    request.headers[absl::AsciiStrToLower(header.first)] =
        std::string(absl::StripAsciiWhitespace(header.second));
  }
  return request;
}

SSL_CTX* NewTls(const Certificate* certificate) {
  if (certificate == nullptr) return nullptr;
  std::signal(SIGPIPE, SIG_IGN);
  SSL_CTX* const context = ::SSL_CTX_new(::TLS_server_method());
  if (::SSL_CTX_use_certificate_file(context,
                                     certificate->certificate_file().c_str(),
                                     SSL_FILETYPE_PEM) != 1 ||
      ::SSL_CTX_use_PrivateKey_file(context, certificate->key_file().c_str(),
                                    SSL_FILETYPE_PEM) != 1) {
    std::abort();
  }
  return context;
}

}  // namespace

// A connection's bytes, in the clear.
class HttpServer::Stream {
 public:
  Stream(int fd, SSL_CTX* tls) : fd_(fd) {
    if (tls == nullptr) return;
    ssl_ = ::SSL_new(tls);
    ::SSL_set_fd(ssl_, fd);
    over_ = ::SSL_accept(ssl_) != 1;
  }
  ~Stream() { ::SSL_free(ssl_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // All up to that word, and this; empty if the peer ends first.
  std::string ReadPast(const std::string& word) {
    std::size_t at;
    while ((at = text_.find(word)) == std::string::npos) {
      if (!ReadMore()) return "";
    }
    return Read(at + word.size());
  }

  // So many bytes; fewer if the peer ends first.
  std::string Read(std::size_t size) {
    while (text_.size() < size && ReadMore()) continue;
    std::string read = text_.substr(0, size);
    text_.erase(0, size);
    return read;
  }

  // Whether the peer is still there.
  bool Write(const std::string& bytes) {
    if (ssl_ != nullptr) {
      return ::SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) >
             0;
    }
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t sent =
          ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent < 0) return false;
      done += static_cast<std::size_t>(sent);
    }
    return true;
  }

 private:
  bool ReadMore() {
    char bytes[16 * 1024];
    const ssize_t size = over_ ? 0
                         : ssl_ != nullptr
                             ? ::SSL_read(ssl_, bytes, sizeof(bytes))
                             : ::recv(fd_, bytes, sizeof(bytes), 0);
    over_ = size <= 0;
    if (!over_) text_.append(bytes, static_cast<std::size_t>(size));
    return !over_;
  }

  const int fd_;
  SSL* ssl_ = nullptr;
  std::string text_;
  bool over_ = false;
};

std::string HttpRequest::Header(const std::string& name) const {
  const auto found = headers.find(absl::AsciiStrToLower(name));
  return found == headers.end() ? "" : found->second;
}

HttpServer::HttpServer(Handler handler, const Certificate* certificate)
    : handler_(std::move(handler)),
      tls_(NewTls(certificate), &::SSL_CTX_free),
      fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(fd_, any, size) != 0 || ::listen(fd_, 1024) != 0 ||
      ::getsockname(fd_, any, &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  accepting_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(fd_);
}

std::string HttpServer::address() const {
  return absl::StrCat("127.0.0.1:", port_);
}

int HttpServer::connections() {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(threads_.size());
}

void HttpServer::Accept() {
  while (true) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_ || fd < 0) {
      if (fd >= 0) ::close(fd);
      if (stopping_) return;
      continue;
    }
    open_.insert(fd);
    threads_.emplace_back([this, fd] {
      Serve(fd);
      std::lock_guard<std::mutex> lock(mutex_);
      open_.erase(fd);
      ::close(fd);
    });
  }
}

void HttpServer::Serve(int fd) {
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  Stream stream(fd, tls_.get());
  while (true) {
    const std::string head = stream.ReadPast("\r\n\r\n");
    if (head.empty()) return;
    HttpRequest request = HeadOf(head);
    std::size_t size = 0;
    if (absl::EqualsIgnoreCase(request.Header("Transfer-Encoding"),
                               "chunked")) {
      while ((size = std::strtoul(stream.ReadPast("\r\n").c_str(), nullptr,
                                  16)) > 0) {
        request.body += stream.Read(size);
        (void)stream.ReadPast("\r\n");
      }
      (void)stream.ReadPast("\r\n");
    } else if (absl::SimpleAtoi(request.Header("Content-Length"), &size)) {
      request.body = stream.Read(size);
    }
    if (absl::StartsWith(request.Header("Content-Type"),
                         "application/x-www-form-urlencoded")) {
      ReadArguments(request.body, request.arguments);
    }

    const HttpResponse response = handler_(request);
    const bool close =
        response.breaks_off ||
        absl::EqualsIgnoreCase(request.Header("Connection"), "close");
    std::string written = absl::StrCat(
        "HTTP/1.1 ", response.status,
        " Status\r\nContent-Type: ", response.content_type,
        "\r\nContent-Length: ", response.body.size(), "\r\n",
        response.more_headers, close ? "Connection: close\r\n" : "", "\r\n");
    if (response.drip == absl::ZeroDuration()) {
      written +=
          response.breaks_off ? response.body.substr(0, 1) : response.body;
      stream.Write(written);
    } else {
      stream.Write(written);
      for (const char byte : response.body) {
        absl::SleepFor(response.drip);
        if (!stream.Write(std::string(1, byte))) return;
      }
    }
    if (close) return;
  }
}

}  // namespace userprofile::testing
