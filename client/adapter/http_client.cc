#include "client/adapter/http_client.h"

#include <curl/curl.h>

#include <cstdlib>
#include <regex>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "ops/http_server.h"
#include "ops/listen.h"

namespace userprofile::adapter {
namespace {

constexpr std::size_t kMaxHeaders = 256 * 1024;

using Long = long;  // NOLINT(google-runtime-int): what libcurl takes

void Set(CURL* easy, CURLoption option, const char* text) {
  if (::curl_easy_setopt(easy, option, text) != CURLE_OK) std::abort();
}

void Set(CURL* easy, CURLoption option, Long number) {
  if (::curl_easy_setopt(easy, option, number) != CURLE_OK) std::abort();
}

Long Milliseconds(absl::Duration duration) {
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
  Connection(const std::string& origin, std::size_t max_answer,
             absl::Duration connect_timeout)
      : max_answer_(max_answer) {
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
    const char* const file = std::getenv("SSL_CERT_FILE");
    const char* const folder = std::getenv("SSL_CERT_DIR");
    if (file != nullptr) Set(easy_, CURLOPT_CAINFO, file);
    if (folder != nullptr) Set(easy_, CURLOPT_CAPATH, folder);
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

  // What became of it; CURLE_ABORTED_BY_CALLBACK if `stop` was set first.
  CURLcode Post(const std::string& url, const std::string& json,
                absl::Duration timeout, curl_slist* headers,
                const StopEvent* stop) {
    answer_ = {};
    headers_size_ = 0;
    Set(easy_, CURLOPT_URL, url.c_str());
    Set(easy_, CURLOPT_POSTFIELDSIZE, static_cast<Long>(json.size()));
    Set(easy_, CURLOPT_POSTFIELDS, json.c_str());
    Set(easy_, CURLOPT_TIMEOUT_MS, Milliseconds(timeout));
    ::curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers);
    ::curl_multi_add_handle(multi_, easy_);
    const CURLcode result = Perform(stop);
    ::curl_multi_remove_handle(multi_, easy_);
    return result;
  }

  // Whether the server was reached, through TLS and proxies, by the last
  // request.
  bool has_connected() const {
    curl_off_t microseconds = 0;
    ::curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &microseconds);
    return microseconds > 0;
  }

  HttpAnswer TakeAnswer() {
    Long status = 0;
    ::curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    answer_.status = static_cast<int>(status);
    const char* content_type = nullptr;
    ::curl_easy_getinfo(easy_, CURLINFO_CONTENT_TYPE, &content_type);
    if (content_type != nullptr) answer_.content_type = content_type;
    return std::move(answer_);
  }

 private:
  CURLcode Perform(const StopEvent* stop) {
    curl_waitfd wait = {};
    if (stop != nullptr) {
      wait.fd = stop->fd();
      wait.events = CURL_WAIT_POLLIN;
    }
    while (true) {
      int running = 0;
      if (::curl_multi_perform(multi_, &running) != CURLM_OK) {
        return CURLE_FAILED_INIT;
      }
      int left = 0;
      const CURLMsg* const message = ::curl_multi_info_read(multi_, &left);
      if (message != nullptr) return message->data.result;
      if (stop != nullptr && stop->IsSet()) return CURLE_ABORTED_BY_CALLBACK;
      ::curl_multi_poll(multi_, &wait, stop != nullptr ? 1 : 0,
                        /*timeout_ms=*/60 * 1000, nullptr);
    }
  }

  static std::size_t TakeBody(const char* data, std::size_t, std::size_t size,
                              void* self) {
    auto& connection = *static_cast<Connection*>(self);
    std::string& body = connection.answer_.body;
    if (size > connection.max_answer_ - body.size()) return 0;
    body.append(data, size);
    return size;
  }

  static std::size_t TakeHeader(const char*, std::size_t, std::size_t size,
                                void* self) {
    auto& connection = *static_cast<Connection*>(self);
    connection.headers_size_ += size;
    return connection.headers_size_ > kMaxHeaders ? 0 : size;
  }

  CURL* const easy_ = ::curl_easy_init();
  CURLM* const multi_ = ::curl_multi_init();
  const std::size_t max_answer_;
  HttpAnswer answer_;
  std::size_t headers_size_ = 0;
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
  std::unique_ptr<Connection> connection;
  {
    const base::MutexLock lock(mutex_);
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (connection == nullptr) {
    connection =
        std::make_unique<Connection>(origin_, max_answer_, connect_timeout_);
  }

  curl_slist* list = nullptr;
  const absl::Cleanup free_list = [&list] { ::curl_slist_free_all(list); };
  const auto add = [&list](const std::string& header) {
    curl_slist* const longer = ::curl_slist_append(list, header.c_str());
    if (longer == nullptr) std::abort();  // no memory
    list = longer;
  };
  add("Content-Type: application/json");
  add("Expect:");  // or a long body waits to be asked for
  for (const auto& [name, value] : headers) {
    add(absl::StrCat(name, ": ", value));
  }
  const CURLcode result =
      connection->Post(origin_ + path, json, timeout, list, stop);

  switch (result) {
    case CURLE_OK: {
      HttpAnswer answer = connection->TakeAnswer();
      const base::MutexLock lock(mutex_);
      idle_.push_back(std::move(connection));
      return answer;
    }
    case CURLE_ABORTED_BY_CALLBACK:
      return absl::CancelledError("told to stop");
    case CURLE_WRITE_ERROR:
      return absl::OutOfRangeError(absl::StrCat(
          server_, "'s answer is longer than ", max_answer_, " bytes"));
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
