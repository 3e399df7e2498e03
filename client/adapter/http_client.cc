#include "client/adapter/http_client.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <regex>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/steady_time.h"
#include "ops/listen.h"

namespace userprofile::adapter {
namespace {

using base::SteadyTime;

constexpr std::size_t kMaxHeaders = 256 * 1024;
constexpr absl::Duration kSilence = absl::Minutes(10);

using Long = long;  // NOLINT(google-runtime-int): what libcurl takes

void Set(CURL* easy, CURLoption option, const char* text) {
  if (::curl_easy_setopt(easy, option, text) != CURLE_OK) std::abort();
}

void Set(CURL* easy, CURLoption option, Long number) {
  if (::curl_easy_setopt(easy, option, number) != CURLE_OK) std::abort();
}

// 0, which means none to libcurl, if it is infinite.
Long Milliseconds(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return 0;
  return static_cast<Long>(
      absl::ToInt64Milliseconds(absl::Ceil(duration, absl::Milliseconds(1))));
}

// "http://localhost:8090" is on this machine.
bool IsOnThisMachine(const std::string& origin) {
  const std::string host = origin.substr(origin.find("//") + 2);
  return ops::IsLoopback(host) || ops::IsLoopback(host + ":0");
}

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

// A connection, with a request at a time.
class HttpClient::Connection {
 public:
  Connection(const std::string& origin, absl::Duration connect_timeout) {
    static const CURLcode initialized = ::curl_global_init(CURL_GLOBAL_ALL);
    if (initialized != CURLE_OK || easy_ == nullptr || multi_ == nullptr) {
      std::abort();  // no memory
    }
    ::curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 1L);
    Set(easy_, CURLOPT_NOSIGNAL, 1);
    Set(easy_, CURLOPT_QUICK_EXIT, 1);  // don't wait for a name server
    Set(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
    Set(easy_, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    Set(easy_, CURLOPT_PATH_AS_IS, 1);
    Set(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
    Set(easy_, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(connect_timeout));
    if (IsOnThisMachine(origin)) Set(easy_, CURLOPT_PROXY, "");
    // The system's roots lie in a file and in a folder. Of the file, all of
    // them are read for each connection, of the folder only the one that is
    // needed.
    const char* const file = std::getenv("SSL_CERT_FILE");
    const char* const folder = std::getenv("SSL_CERT_DIR");
    Set(easy_, CURLOPT_CAINFO, file);
    if (folder != nullptr) Set(easy_, CURLOPT_CAPATH, folder);
    Set(easy_, CURLOPT_TCP_KEEPALIVE, 1);
    Set(easy_, CURLOPT_BUFFERSIZE, 64 * 1024);
    ::curl_easy_setopt(easy_, CURLOPT_READFUNCTION, &GiveBody);
    ::curl_easy_setopt(easy_, CURLOPT_READDATA, this);
    ::curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &TakeBody);
    ::curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
    ::curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &TakeHeader);
    ::curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  }
  ~Connection() {
    ::curl_easy_cleanup(easy_);
    ::curl_multi_cleanup(multi_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // What became of it; CURLE_ABORTED_BY_CALLBACK if it was stopped, or is not
  // wanted any more by whom it is for.
  CURLcode Send(const std::string& origin, const HttpCall& call) {
    call_ = &call;
    headers_.clear();
    headers_size_ = 0;
    begun_ = false;
    given_ = 0;
    part_ = call.body;
    body_ended_ = call.more == nullptr;
    is_watched_ = call.caller >= 0;

    Set(easy_, CURLOPT_URL, (origin + call.path).c_str());
    if (call.method == "GET" && call.body.empty() && body_ended_) {
      Set(easy_, CURLOPT_HTTPGET, 1);
    } else {
      Set(easy_, CURLOPT_POST, 1);
      Set(easy_, CURLOPT_POSTFIELDS, body_ended_ ? call.body.c_str() : nullptr);
      ::curl_easy_setopt(
          easy_, CURLOPT_POSTFIELDSIZE_LARGE,
          body_ended_ ? curl_off_t(call.body.size()) : call.size.value_or(-1));
    }
    Set(easy_, CURLOPT_CUSTOMREQUEST, call.method.c_str());
    Set(easy_, CURLOPT_FRESH_CONNECT, body_ended_ ? 0 : 1);
    Set(easy_, CURLOPT_TIMEOUT_MS, Milliseconds(call.timeout));
    Set(easy_, CURLOPT_LOW_SPEED_LIMIT, 1);
    Set(easy_, CURLOPT_LOW_SPEED_TIME,
        static_cast<Long>(absl::ToInt64Seconds(kSilence)));
    curl_slist* const list = NewHeaders(call);
    ::curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, list);
    ::curl_multi_add_handle(multi_, easy_);
    CURLcode result = Perform();
    ::curl_multi_remove_handle(multi_, easy_);
    ::curl_slist_free_all(list);
    return result;
  }

  // Whether the server was reached, through TLS and proxies, by the last
  // request.
  bool has_connected() const {
    curl_off_t microseconds = 0;
    ::curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &microseconds);
    return microseconds > 0;
  }

 private:
  static curl_slist* NewHeaders(const HttpCall& call) {
    curl_slist* list = nullptr;
    const auto add = [&list](const std::string& header) {
      curl_slist* const longer = ::curl_slist_append(list, header.c_str());
      if (longer == nullptr) std::abort();  // no memory
      list = longer;
    };
    // What the library would add by itself. With the first, a long body would
    // wait to be asked for.
    for (const char* own : {"Expect", "Accept", "Content-Type"}) {
      const auto is_own = [own](const auto& header) {
        return absl::EqualsIgnoreCase(header.first, own);
      };
      if (std::none_of(call.headers.begin(), call.headers.end(), is_own)) {
        add(absl::StrCat(own, ":"));
      }
    }
    if (call.more && !call.size) add("Transfer-Encoding: chunked");
    for (const auto& [name, value] : call.headers) {
      add(value.empty() ? absl::StrCat(name, ";")
                        : absl::StrCat(name, ": ", value));
    }
    return list;
  }

  CURLcode Perform() {
    const StopEvent* stop = call_->stop;
    SteadyTime end = SteadyTime::InfiniteFuture();
    while (true) {
      int running = 0;
      if (::curl_multi_perform(multi_, &running) != CURLM_OK) {
        return CURLE_FAILED_INIT;
      }
      int left = 0;
      const CURLMsg* const message = ::curl_multi_info_read(multi_, &left);
      if (message != nullptr) return message->data.result;
      if (stop != nullptr && stop->IsSet()) {
        end = SteadyTime::Now() + call_->grace;
        stop = nullptr;
      }
      const absl::Duration patience = end - SteadyTime::Now();
      if (patience <= absl::ZeroDuration() || IsLeft()) {
        return CURLE_ABORTED_BY_CALLBACK;
      }
      curl_waitfd waits[2] = {};
      unsigned count = 0;
      const auto wait_for = [&](int fd) {
        waits[count].fd = fd;
        waits[count++].events = CURL_WAIT_POLLIN;
      };
      if (stop != nullptr) wait_for(stop->fd());
      if (IsWatching()) wait_for(call_->caller);
      ::curl_multi_poll(
          multi_, waits, count,
          static_cast<int>(Milliseconds(std::min(patience, absl::Minutes(1)))),
          nullptr);
    }
  }

  bool IsWatching() const { return is_watched_ && body_ended_ && !begun_; }

  // Whether the caller has gone.
  bool IsLeft() {
    if (!IsWatching()) return false;
    char byte;
    const ssize_t size =
        ::recv(call_->caller, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (size > 0) is_watched_ = false;  // it has said something else already
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
  }

  static std::size_t GiveBody(char* buffer, std::size_t, std::size_t room,
                              void* self) {
    auto& connection = *static_cast<Connection*>(self);
    std::string& part = connection.part_;
    if (connection.given_ == part.size() && !connection.body_ended_) {
      auto next = connection.call_->more();
      if (!next.ok()) return CURL_READFUNC_ABORT;
      connection.body_ended_ = next->empty();
      connection.given_ = 0;
      part = *std::move(next);
    }
    const std::size_t size = part.copy(buffer, room, connection.given_);
    connection.given_ += size;
    return size;
  }

  static std::size_t TakeBody(const char* data, std::size_t, std::size_t size,
                              void* self) {
    const auto& connection = *static_cast<Connection*>(self);
    return connection.call_->write({data, size}) ? size : 0;
  }

  static std::size_t TakeHeader(const char* data, std::size_t, std::size_t size,
                                void* self) {
    auto& connection = *static_cast<Connection*>(self);
    return connection.Take(absl::string_view(data, size)) ? size : 0;
  }

  // A line of the answer's headers.
  bool Take(absl::string_view line) {
    headers_size_ += line.size();
    if (headers_size_ > kMaxHeaders) return false;
    line = absl::StripAsciiWhitespace(line);
    if (!line.empty()) {
      const std::size_t colon = line.find(':');
      if (absl::StartsWith(line, "HTTP/")) {
        headers_.clear();
      } else if (colon != absl::string_view::npos) {
        headers_.emplace_back(
            line.substr(0, colon),
            absl::StripAsciiWhitespace(line.substr(colon + 1)));
      }
      return true;
    }
    Long status = 0;
    ::curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    // Others follow after 100 and its like; trailers come after the begin.
    if (status < 200 || begun_) return true;
    begun_ = true;
    return call_->begin(static_cast<int>(status), std::move(headers_));
  }

  CURL* const easy_ = ::curl_easy_init();
  CURLM* const multi_ = ::curl_multi_init();
  // Of the call under way.
  const HttpCall* call_ = nullptr;
  ops::HttpHeaders headers_;
  std::size_t headers_size_ = 0;
  bool begun_ = false;  // the answer
  std::string part_;    // of the request's body
  std::size_t given_ = 0;
  bool body_ended_ = false;
  bool is_watched_ = false;  // the caller
};

HttpClient::HttpClient(std::string origin, std::string server,
                       std::size_t max_answer, absl::Duration connect_timeout)
    : origin_(std::move(origin)),
      server_(std::move(server)),
      max_answer_(max_answer),
      connect_timeout_(connect_timeout) {}

HttpClient::~HttpClient() = default;

absl::StatusOr<HttpAnswer> HttpClient::Post(
    const std::string& path, const std::string& json, absl::Duration timeout,
    const std::map<std::string, std::string>& headers, const StopEvent* stop) {
  HttpAnswer answer;
  HttpCall call = {.path = path,
                   .headers = {{"Content-Type", "application/json"}},
                   .body = json,
                   .timeout = timeout,
                   .stop = stop};
  call.headers.insert(call.headers.end(), headers.begin(), headers.end());
  call.begin = [&answer](int status, const ops::HttpHeaders& received) {
    answer.status = status;
    for (const auto& [name, value] : received) {
      if (absl::EqualsIgnoreCase(name, "Content-Type")) {
        answer.content_type = value;
      }
    }
    return true;
  };
  call.write = [&](absl::string_view part) {
    if (part.size() > max_answer_ - answer.body.size()) return false;
    answer.body.append(part.data(), part.size());
    return true;
  };
  const absl::Status status = Send(call);
  if (!status.ok()) return status;
  return answer;
}

absl::Status HttpClient::Send(const HttpCall& call) {
  std::unique_ptr<Connection> connection;
  {
    const base::MutexLock lock(mutex_);
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (connection == nullptr) {
    connection = std::make_unique<Connection>(origin_, connect_timeout_);
  }
  const CURLcode result = connection->Send(origin_, call);
  switch (result) {
    case CURLE_OK: {
      const base::MutexLock lock(mutex_);
      idle_.push_back(std::move(connection));
      return absl::OkStatus();
    }
    case CURLE_ABORTED_BY_CALLBACK:
      return absl::CancelledError("told to stop");
    case CURLE_WRITE_ERROR:
      return absl::OutOfRangeError(
          absl::StrCat(server_, "'s answer is longer than what is taken"));
    case CURLE_OPERATION_TIMEDOUT:
      if (!connection->has_connected()) break;
      return absl::DeadlineExceededError(
          absl::StrCat(server_, " takes too long"));
    default:
      // What is no HTTP, too, is something that it began to answer.
      if (!connection->has_connected()) break;
      return absl::AbortedError(absl::StrCat(server_, " broke off"));
  }
  // The library's words for the kind of error hold nothing of the URL.
  return absl::UnavailableError(absl::StrCat(
      server_, " can't be reached (", ::curl_easy_strerror(result), ")"));
}

}  // namespace userprofile::adapter
